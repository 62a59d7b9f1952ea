package broker_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

func publicNKey(t *testing.T) string {
	t.Helper()
	kp, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := kp.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestConfigListsEveryMistake(t *testing.T) {
	t.Parallel()
	key := publicNKey(t)
	cfg := broker.Config{
		Port: 70000,
		TLS:  broker.TLS{CertFile: "cert.pem"},
		Backend: broker.Credential{
			User: "backend", Password: "s3cret\n",
		},
		Admin: broker.Credential{NKey: "SUAGENTLYNOT"},
		Identities: []broker.Endpoint{
			{ID: identity.MustID("a"), Role: identity.RoleUser, NKey: key},
			{ID: identity.MustID("b"), Role: identity.RoleUser, NKey: key},
			{ID: identity.MustID("c"), Role: "king", NKey: key},
			{Role: identity.RoleUser, NKey: key},
		},
	}
	_, err := cfg.Render()
	if err == nil {
		t.Fatal("want an error, got none")
	}
	for _, part := range []string{
		"store directory", "port 70000", "TLS", "no credential for the workers", "backend: user and password must be printable",
		"admin: nkey is not a public user key", "identity a and identity b authenticate as the same", `identity "c": role "king"`, `identity "": no name`,
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in the error, got:\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "SUAGENTLYNOT") {
		t.Errorf("want no secrets in the error, got:\n%v", err)
	}
}

// TestEverySettingIsAccepted holds every line of the template against the
// server's own parser.
func TestEverySettingIsAccepted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := broker.Start(t.Context(), broker.Options{Dir: dir, InProcess: true, Config: broker.Config{
		Name: "n1", Host: "127.0.0.1", Port: -1, StoreDir: filepath.Join(dir, `store "quoted" $HOME`),
		MaxMemory: 64 << 20, MaxFile: 1 << 30, SyncInterval: 10 * time.Second, MaxPayload: 2 << 20,
		Batch:  broker.BatchLimits{PerStream: 60, Total: 600, MaxMsgs: 900, Timeout: 5 * time.Second},
		Router: broker.Credential{User: "router", Password: `pa$$ "w0rd"\`},
		System: broker.Credential{User: "sys", Password: "sys"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	nc, err := s.Connect(nats.UserInfo("router", `pa$$ "w0rd"\`), nats.CustomInboxPrefix("_INBOX_router"))
	if err != nil {
		t.Fatalf("connect with the password: %v", err)
	}
	defer nc.Close()
	if got := nc.MaxPayload(); got != 2<<20 {
		t.Errorf("want a max payload of 2 MiB, got %d", got)
	}
	if _, err := nc.Request(subjects.RequestAccountInfo, nil, 5*time.Second); err != nil {
		t.Errorf("ask for JetStream: %v", err)
	}
	info, err := os.Stat(s.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("want the configuration readable by its owner only, got %v", info.Mode())
	}
	if s.URL() != "" {
		t.Errorf("want no URL without a port, got %q", s.URL())
	}
}

func TestSyncAlwaysAndTLSAreWritten(t *testing.T) {
	t.Parallel()
	text, err := broker.Config{
		StoreDir: "/js", SyncAlways: true, MonitorPort: 8222, Router: broker.Credential{NKey: publicNKey(t)},
		TLS: broker.TLS{CertFile: "/tls/cert", KeyFile: "/tls/key", CAFile: "/tls/ca"},
	}.Render()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"sync_interval: always", `cert_file: "/tls/cert"`, `key_file: "/tls/key"`, `ca_file: "/tls/ca"`, "verify: true", "http_port: 8222"} {
		if !bytes.Contains(text, []byte(line)) {
			t.Errorf("want the line %q in\n%s", line, text)
		}
	}
}

func TestPortInUseIsAnError(t *testing.T) {
	t.Parallel()
	first := brokertest.Start(t, brokertest.Options{Bare: true})
	port := strings.TrimPrefix(first.URL(), "nats://127.0.0.1:")
	var cfg broker.Config
	for _, c := range port {
		cfg.Port = cfg.Port*10 + int(c-'0')
	}
	cfg.Router = broker.Credential{NKey: publicNKey(t)}
	_, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Config: cfg})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("want an error that says the address is in use, got %v", err)
	}
}

func TestIdentitiesComeAndGoAtRunTime(t *testing.T) {
	t.Parallel()
	for name, inProcess := range map[string]bool{"listening": false, "in process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Start(t, brokertest.Options{Memory: true, InProcess: inProcess, Users: []string{alice}})
			closed := make(chan struct{})
			stays := b.Router(t)
			gone := b.Identity(t, alice, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
			b.Add(t, "app2", identity.RoleApp)
			if _, err := b.Identity(t, "app2").Request(subjects.Voice("app2", "stop"), nil, 5*time.Second); err != nil {
				t.Errorf("new identity: want a PubAck, got %v", err)
			}
			if err := gone.Flush(); err != nil {
				t.Errorf("want the connection of another identity to stay, got %v", err)
			}
			if err := b.SetIdentities(nil); err != nil {
				t.Fatal(err)
			}
			select {
			case <-closed:
			case <-time.After(5 * time.Second):
				t.Error("want the connection of an identity that is gone closed, it is open")
			}
			if !inProcess { // through a pipe the refusal takes the server's write deadline, 10 s
				if _, err := b.Connect(b.Get(t, alice).Options()...); err == nil {
					t.Error("want an identity that is gone refused, got a connection")
				}
			}
			if err := stays.Flush(); err != nil {
				t.Errorf("want the worker's connection to stay, got %v", err)
			}
			bad := []broker.Endpoint{{ID: identity.MustID("x"), Role: "king"}}
			if err := b.SetIdentities(bad); err == nil {
				t.Error("want a broken identity refused, got no error")
			}
		})
	}
}
