package doctor_test

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
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/doctor"
)

// authority issues certificates that are valid for some time from now, which may
// be over.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	n    int64
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert = &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = a.sign(t, a.cert, "ca", 1000*time.Hour)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// server issues server.pem and server.key, over what is there.
func (a *authority) server(t *testing.T, validFor time.Duration) {
	t.Helper()
	a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "nats.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, "server", validFor)
}

func (a *authority) sign(t *testing.T, c *x509.Certificate, name string, validFor time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.n++
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(a.n), time.Now().Add(-10000*time.Hour), time.Now().Add(validFor)
	signer := a.key
	if signer == nil {
		signer = key // the authority's own
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for ending, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(a.path(name+ending), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed, key
}

// secured is a sound installation with TLS.
func secured(t *testing.T, ca *authority, first bool) (*brokertest.Broker, doctor.Options) {
	t.Helper()
	ca.server(t, 100*24*time.Hour)
	transport := []nats.Option{nats.RootCAs(ca.path("ca.pem"))}
	if first {
		transport = append(transport, nats.TLSHandshakeFirst())
	}
	b := brokertest.Start(t, brokertest.Options{Bare: true, Configure: func(c *broker.Config) {
		c.TLS = broker.TLS{CertFile: ca.path("server.pem"), KeyFile: ca.path("server.key"), HandshakeFirst: first}
	}})
	o := doctor.Options{
		Servers: []string{b.URL()}, Credential: credential(t, b, doctor.RoleRouter), Transport: transport,
		TLS: doctor.TLS{CA: ca.path("ca.pem"), First: first}, Timeout: 5 * time.Second,
	}
	return b, o
}

func TestPlantedExpiredCertificate(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{false, true} {
		ca := newAuthority(t, "test")
		b, o := secured(t, ca, first)
		r := examine(t, o)
		want(t, r, doctor.OK, "tls", "127.0.0.1", `certificate "nats.example" is valid until`)
		want(t, r, doctor.OK, "connection", "user router")

		ca.server(t, -72*time.Hour)
		reload(t, b)
		r = examine(t, o)
		want(t, r, doctor.Wrong, "tls", "127.0.0.1", `certificate "nats.example" has expired at`, "3 days ago", "nats-server --signal reload")
		want(t, r, doctor.Wrong, "connection", "user router", "certificate has expired")
		onlyWrong(t, r, "tls", "connection", "callout")

		ca.server(t, 72*time.Hour)
		reload(t, b)
		r = examine(t, o)
		want(t, r, doctor.Warn, "tls", "127.0.0.1", "expires at", "in 2 days", "in time")
		want(t, r, doctor.OK, "connection", "user router")
	}
}

func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "test"), newAuthority(t, "other")
	_, o := secured(t, ca, false)
	o.TLS.CA, o.Transport = other.path("ca.pem"), []nats.Option{nats.RootCAs(other.path("ca.pem"))}
	r := examine(t, o)
	want(t, r, doctor.Wrong, "tls", "unknown authority", "ROUTER_NATS_TLS_CA")
	_, o = secured(t, ca, true)
	o.TLS.First, o.Transport = false, o.Transport[:1]
	o.Timeout = time.Second
	want(t, examine(t, o), doctor.Wrong, "server", "does not say INFO", "ROUTER_NATS_TLS_FIRST=true")
}

func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test")
	ca.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "worker"}}, "old", -time.Hour)
	ca.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "worker"}}, "new", 1000*time.Hour)
	for name, tc := range map[string]struct {
		tls    doctor.TLS
		status doctor.Status
		seen   string
	}{
		"expired":       {doctor.TLS{Cert: ca.path("old.pem"), Key: ca.path("old.key")}, doctor.Wrong, "has expired"},
		"of two pairs":  {doctor.TLS{Cert: ca.path("new.pem"), Key: ca.path("old.key")}, doctor.Wrong, "private key does not match"},
		"sound":         {doctor.TLS{Cert: ca.path("new.pem"), Key: ca.path("new.key")}, doctor.OK, "is valid until"},
		"no authority":  {doctor.TLS{CA: ca.path("old.key")}, doctor.Wrong, "no certificate in"},
		"missing":       {doctor.TLS{CA: ca.path("gone.pem")}, doctor.Wrong, "cannot be read"},
		"authority":     {doctor.TLS{CA: ca.path("ca.pem")}, doctor.OK, "is valid until"},
		"old authority": {doctor.TLS{CA: ca.path("old.pem")}, doctor.Wrong, "has expired"},
	} {
		r := examine(t, doctor.Options{TLS: tc.tls})
		t.Run(name, func(t *testing.T) { want(t, r, tc.status, "certificates", tc.seen) })
	}
}

// reload has the server read its certificate again.
func reload(t *testing.T, b *brokertest.Broker) {
	t.Helper()
	if err := b.Reload(func(*broker.Config) {}); err != nil {
		t.Fatal(err)
	}
}
