package broker_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/voicerouter/voicerouter/internal/broker"
)

// TestClusterIsUnderstood holds the section "cluster" against the server's own
// parser.
func TestClusterIsUnderstood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := broker.Config{
		Name: "n1", StoreDir: dir, SyncAlways: true, Router: broker.Credential{NKey: publicNKey(t)},
		Cluster: broker.Cluster{
			Name: "voice", Routes: []string{"nats://127.0.0.1:6223", "nats://127.0.0.1:6224"}, Advertise: "n1.example:6222", NoAdvertise: true,
		},
	}.Render()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(name)
	if err != nil {
		t.Fatalf("the server refuses the configuration: %v\n%s", err, text)
	}
	var routes []string
	for _, u := range o.Routes {
		routes = append(routes, u.String())
	}
	k := o.Cluster
	if o.ServerName != "n1" || !o.SyncAlways || k.Name != "voice" || k.Host != "127.0.0.1" || k.Port != 6222 ||
		k.Advertise != "n1.example:6222" || !k.NoAdvertise || !slices.Equal(routes, []string{"nats://127.0.0.1:6223", "nats://127.0.0.1:6224"}) {
		t.Errorf("want what was configured, got name %q, sync always %t, cluster %+v, routes %v", o.ServerName, o.SyncAlways, k, routes)
	}
}

func TestClusterTLSIsWritten(t *testing.T) {
	t.Parallel()
	text, err := broker.Config{
		Name: "n1", Host: "0.0.0.0", StoreDir: "/js", Router: broker.Credential{NKey: publicNKey(t)},
		Cluster: broker.Cluster{Name: "voice", Routes: []string{"nats://n2:6222"}, TLS: broker.TLS{CertFile: "/r/cert", KeyFile: "/r/key", CAFile: "/r/ca"}},
	}.Render()
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "cluster {")
	section, _, _ = strings.Cut(section, "jetstream {")
	for _, line := range []string{`cert_file: "/r/cert"`, `key_file: "/r/key"`, `ca_file: "/r/ca"`, "verify: true", `routes: ["nats://n2:6222"]`} {
		if !strings.Contains(section, line) {
			t.Errorf("want the line %q in the section cluster of\n%s", line, text)
		}
	}
}

func TestClusterListsEveryMistake(t *testing.T) {
	t.Parallel()
	router := broker.Credential{NKey: publicNKey(t)}
	for name, c := range map[string]struct {
		config broker.Config
		want   []string
	}{
		"routes without a name": {broker.Config{Cluster: broker.Cluster{Routes: []string{"nats://n2:6222"}}}, []string{"without a name"}},
		"nothing right": {
			broker.Config{Host: "0.0.0.0", Cluster: broker.Cluster{Name: "voice", Port: 70000, Routes: []string{"nats://u:s3cret@n2", "x"}}},
			[]string{"needs a name of its own", "cluster port 70000", "cluster without TLS", `route "nats://u:xxxxx@n2"`, `route "x"`},
		},
		"TLS of one side": {
			broker.Config{Name: "n1", Cluster: broker.Cluster{Name: "voice", TLS: broker.TLS{CertFile: "c", KeyFile: "k"}}},
			[]string{"needs the CA"},
		},
	} {
		c.config.StoreDir, c.config.Router = "/js", router
		_, err := c.config.Render()
		if err == nil {
			t.Errorf("%s: want an error, got none", name)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: want %q in the error, got:\n%v", name, part, err)
			}
		}
		if bytes.Contains([]byte(err.Error()), []byte("s3cret")) {
			t.Errorf("%s: want no password in the error, got:\n%v", name, err)
		}
	}
}
