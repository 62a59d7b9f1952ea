package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestServerConfigOfACluster: three servers have the same accounts and keys, and
// differ in what is their own.
func TestServerConfigOfACluster(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "users")
	config := func(name string, more ...string) string {
		return mustSucceed(t, append([]string{
			"provision", "--server-config", "--keys", keys, "--sync-always", "--server-name", name, "--cluster-name", "voice",
			"--route", "nats://n1:6222", "--route", "nats://n2:6222", "--route", "nats://n3:6222",
		}, more...)...).stdout
	}
	tls := []string{"--cluster-cert", "/tls/cert", "--cluster-key", "/tls/key", "--cluster-ca", "/tls/ca"}
	first := config("n1", tls...)
	for _, line := range []string{
		`server_name: "n1"`, `name: "voice"`, "port: 6222", `routes: ["nats://n1:6222", "nats://n2:6222", "nats://n3:6222"]`,
		`ca_file: "/tls/ca"`, "sync_interval: always",
	} {
		if !strings.Contains(first, line) {
			t.Errorf("want %q in the configuration, got\n%s", line, first)
		}
	}
	if second := config("n2", tls...); strings.Replace(second, `"n2"`, `"n1"`, 1) != first {
		t.Errorf("want two servers to differ in their name only, got\n%s\nand\n%s", first, second)
	}
	own := config("n1", "--cluster-no-tls", "--cluster-host", "10.0.0.1", "--cluster-port", "7222", "--cluster-advertise", "n1.example:7222", "--no-advertise")
	for _, line := range []string{`host: "10.0.0.1"`, "port: 7222", `cluster_advertise: "n1.example:7222"`, "no_advertise: true"} {
		if !strings.Contains(own, line) {
			t.Errorf("want %q in the configuration, got\n%s", line, own)
		}
	}
	wantFailure(t, cli(t, "provision", "--server-config", "--keys", keys, "--server-name", "n1", "--cluster-name", "voice"), exitUsage, "cluster without TLS")
	wantFailure(t, cli(t, "provision", "--server-config", "--keys", keys, "--cluster-name", "voice", "--cluster-no-tls"), exitUsage, "needs a name of its own")
}
