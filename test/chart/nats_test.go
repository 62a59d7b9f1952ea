package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	corev1 "k8s.io/api/core/v1"
)

// natsCluster is the official nats chart's, as processes.
type natsCluster struct {
	clients []string // host:port of each server
	monitor string   // host:port of the first one's monitoring
}

// natsChart is the official chart.
func natsChart(t testing.TB) *chartv2.Chart {
	t.Helper()
	c, err := loader.Load(filepath.Join("testdata", "nats-2.14.2.tgz"))
	if err != nil {
		t.Fatalf("the official nats chart: %v", err)
	}
	return c
}

// natsConfig renders the official chart with examples of ours and returns the
// files of its ConfigMap. accounts is the file that --set-file names.
func natsConfig(t testing.TB, accounts string, examples ...string) map[string]string {
	t.Helper()
	values := map[string]any{}
	for _, example := range examples {
		values = loader.MergeMaps(values, valuesOf(t, string(read(t, filepath.Join(chartDir, "examples", example)))))
	}
	values = loader.MergeMaps(values, map[string]any{
		"configMap": map[string]any{"merge": map[string]any{"data": map[string]any{"voice.conf": accounts}}},
	})
	for _, o := range typed(t, install{release: "nats", values: values}.objects(t, natsChart(t))) {
		if config, ok := o.(*corev1.ConfigMap); ok && config.Name == "nats-config" {
			return config.Data
		}
	}
	t.Fatal("the nats chart has no ConfigMap nats-config")
	return nil
}

// startNATS runs the three servers of the chart, with the files of k for what they
// mount. Of the configuration only addresses and paths are others.
func startNATS(t testing.TB, binary string, k kubelet, config map[string]string) natsCluster {
	t.Helper()
	const servers = 3
	var cluster natsCluster
	var routes []string
	for i := range servers {
		cluster.clients = append(cluster.clients, "127.0.0.1:"+freePort(t))
		routes = append(routes, fmt.Sprintf("nats-%d.nats-headless:6222", i), "127.0.0.1:"+freePort(t))
	}
	for i := range servers {
		dir := t.TempDir()
		monitor := freePort(t)
		paths := []string{
			`"port": 4222`, `"port": ` + strings.TrimPrefix(cluster.clients[i], "127.0.0.1:"),
			`"port": 6222`, `"port": ` + strings.TrimPrefix(routes[2*i+1], "127.0.0.1:"),
			`"http_port": 8222`, `"http_port": ` + monitor,
			`"/data"`, `"` + filepath.Join(dir, "data") + `"`,
			`/var/run/nats`, dir,
		}
		for mount, secret := range map[string]string{"/etc/nats-certs/nats": "nats-tls", "/etc/nats-ca-cert": "nats-tls"} {
			if _, ok := k.secrets[secret]; ok {
				k.write(t, filepath.Join(dir, filepath.Base(mount)), secret, nil, 0o400)
				paths = append(paths, mount, filepath.Join(dir, filepath.Base(mount)))
			}
		}
		replace := strings.NewReplacer(append(paths, routes...)...)
		for file, text := range config {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(replace.Replace(text)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			cluster.monitor = "127.0.0.1:" + monitor
		}
		name := fmt.Sprintf("nats-%d", i)
		startProcess(t, name, binary, []string{"--config", filepath.Join(dir, "nats.conf"), "--addr", "127.0.0.1"},
			[]string{"SERVER_NAME=" + name}, 20*time.Second)
	}
	return cluster
}
