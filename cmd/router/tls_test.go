package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/subjects"
)

// authority issues certificates for a test.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{dir: t.TempDir(), key: key, cert: cert, n: 1}
	writePEM(t, a.path("ca.pem"), "CERTIFICATE", der)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// issue writes <name>.pem and <name>.key, over what is there.
func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.n++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.path(name+".pem"), "CERTIFICATE", der)
	writePEM(t, a.path(name+".key"), "PRIVATE KEY", text)
}

func writePEM(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestGeneratedConfigurationWithTLS runs a server from what "router provision
// --server-config" prints, with TLS first and client certificates, and the three
// processes of the product against it.
func TestGeneratedConfigurationWithTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	ca.issue(t, "server", x509.ExtKeyUsageServerAuth)
	ca.issue(t, "client", x509.ExtKeyUsageClientAuth)
	keys := filepath.Join(t.TempDir(), "keys")
	conf := mustSucceed(t, "provision", "--server-config", "--keys", keys, "--store-dir", t.TempDir(), "--host", "127.0.0.1",
		"--server-cert", ca.path("server.pem"), "--server-key", ca.path("server.key"), "--server-ca", ca.path("ca.pem"),
		"--handshake-first", "--websocket-port", "-1", "--sync-interval", "10s", "--max-memory", "67108864").stdout
	url := strings.Replace(runServer(t, conf), "nats://", "tls://", 1)

	admin := []string{
		"--server", url, "--nkey", filepath.Join(keys, "admin.nk"), "--tls-first",
		"--tls-ca", ca.path("ca.pem"), "--tls-cert", ca.path("client.pem"), "--tls-key", ca.path("client.key"),
	}
	mustSucceed(t, append([]string{"provision", "--storage", "memory"}, admin...)...)
	mustSucceed(t, append([]string{"identity", "add", "alice", "--generate", "--dir", keys}, admin...)...)

	fleet := filepath.Join(keys, "fleet")
	proxy := func(name, dir string) {
		t.Helper()
		mustSucceed(t, append([]string{"identity", "add", name, "--role", "app", "--generate", "--dir", dir}, admin...)...)
	}
	proxy("proxy", fleet)
	env := func(user string, more ...string) []string {
		return append([]string{
			"ROUTER_NATS_URL=" + url, "ROUTER_NATS_NKEY_FILE=" + filepath.Join(keys, user+seedEnding), "ROUTER_NATS_TLS_FIRST=true",
			"ROUTER_NATS_TLS_CA=" + ca.path("ca.pem"), "ROUTER_NATS_TLS_CERT=" + ca.path("client.pem"), "ROUTER_NATS_TLS_KEY=" + ca.path("client.key"),
			"ROUTER_ROTATE_EVERY=100ms",
		}, more...)
	}
	door := startCommand(t, "auth", env(broker.UserAuth,
		"ROUTER_AUTH_ISSUER_FILE="+filepath.Join(keys, issuerFile), "ROUTER_AUTH_XKEY_FILE="+filepath.Join(keys, xkeyFile))...)
	awaitStatusOK(t, "http://"+door.await(t, `msg="serving HTTP" address=(\S+)`)[1]+"/readyz")
	worker := startCommand(t, "serve", env(broker.UserRouter, "ROUTER_PROXY_KEYS="+fleet)...)
	t.Cleanup(func() {
		if t.Failed() {
			_ = worker.cmd.Process.Kill()
			t.Logf("worker: exit %d\n%s", worker.exit(t), worker.log.String())
		}
	})
	ready := "http://" + worker.await(t, `msg="serving HTTP" address=(\S+)`)[1] + "/readyz"
	awaitStatusOK(t, ready)

	nkey, err := nats.NkeyOptionFromSeed(filepath.Join(keys, "alice"+seedEnding))
	if err != nil {
		t.Fatal(err)
	}
	login := []nats.Option{nkey, nats.Name("alice"), nats.CustomInboxPrefix(subjects.InboxPrefix("alice")), nats.Timeout(3 * time.Second)}
	secure := append(slices.Clip(login), nats.RootCAs(ca.path("ca.pem")), nats.TLSHandshakeFirst())
	certified := append(slices.Clip(secure), nats.ClientCert(ca.path("client.pem"), ca.path("client.key")))
	nc, err := nats.Connect(url, certified...)
	if err != nil {
		t.Fatalf("connect as the identity: %v", err)
	}
	defer nc.Close()
	if _, err := nc.Request(subjects.Voice("alice", "stop"), []byte("{}"), 5*time.Second); err != nil {
		t.Errorf("want a PubAck, got %v", err)
	}
	for what, opts := range map[string][]nats.Option{
		"without a client certificate": secure,
		"without the handshake first":  append(slices.Clip(login), nats.RootCAs(ca.path("ca.pem")), nats.ClientCert(ca.path("client.pem"), ca.path("client.key"))),
		"without TLS":                  login,
	} {
		u := url
		if what == "without TLS" {
			u = strings.Replace(url, "tls://", "nats://", 1)
		}
		if nc, err := nats.Connect(u, opts...); err == nil {
			nc.Close()
			t.Errorf("%s: want no connection, got one", what)
		}
	}

	// A second proxy is put beside the first while the worker runs; then one that
	// is broken, and one that nobody knows.
	proxy("second", fleet)
	worker.await(t, "keys have changed, beginning anew")
	awaitStatusOK(t, ready)
	third := filepath.Join(fleet, "third"+jwkEnding)
	if err := os.WriteFile(third, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	worker.await(t, "cannot be used, going on with the old ones.*third")
	awaitStatusOK(t, ready)
	if err := os.Remove(third); err != nil {
		t.Fatal(err)
	}
	if _, err := generateKey(filepath.Join(fleet, "fourth"+jwkEnding)); err != nil {
		t.Fatal(err)
	}
	worker.await(t, "cannot be used, going on with the old ones.*fourth")
	awaitStatusOK(t, ready)
	for _, p := range []*serveProcess{worker, door} {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := p.exit(t); code != exitOK {
			t.Errorf("want exit 0 after SIGTERM, got %d:\n%s", code, p.log.String())
		}
	}
}

func TestKeyFilesMustBeClosed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	mustSucceed(t, "provision", "--server-config", "--keys", dir)
	open := func(name string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	wantFailure(t, cli(t, "call", "list", "--nkey", open("admin.nk"), "-s", "nats://127.0.0.1:1"), exitUsage, "readable by everybody", "chmod 600")
	wantFailure(t, cli(t, "provision", "--server-config", "--keys", dir), exitFailure, "readable by everybody")
	if _, err := generateKey(filepath.Join(dir, "fleet", "proxy"+jwkEnding)); err != nil {
		t.Fatal(err)
	}
	open("fleet/proxy" + jwkEnding)
	for _, env := range [][]string{
		{"ROUTER_NATS_NKEY_FILE=" + open("router.nk")},
		{"ROUTER_NATS_TLS_CERT=" + open("router.nk"), "ROUTER_NATS_TLS_KEY=" + open("router.nk")},
		{"ROUTER_NATS_USER=u", "ROUTER_NATS_PASSWORD_FILE=" + open("router.nk")},
		{"ROUTER_PROXY_KEYS=" + filepath.Join(dir, "fleet")},
	} {
		p := startServe(t, env...)
		if code := p.exit(t); code != exitUsage || !strings.Contains(p.log.String(), "readable by everybody") {
			t.Errorf("%s: want exit 2 with the reason, got %d:\n%s", env, code, p.log.String())
		}
	}
	p := startCommand(t, "auth", "ROUTER_AUTH_ISSUER_FILE="+open(issuerFile), "ROUTER_AUTH_XKEY_FILE="+filepath.Join(dir, xkeyFile))
	if code := p.exit(t); code != exitUsage || !strings.Contains(p.log.String(), "readable by everybody") {
		t.Errorf("auth: want exit 2 with the reason, got %d:\n%s", code, p.log.String())
	}
}
