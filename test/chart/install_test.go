package chart

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// build makes a program of the router's module.
func build(t testing.TB, path string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(path))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, path)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", path, err, out)
	}
	return binary
}

// prepare runs the lines of the README's section "Before" that are the router's, and
// returns what voice.conf and the Secrets of those for kubectl contain.
func prepare(t testing.TB, binary string) (accounts string, have secrets) {
	t.Helper()
	dir := t.TempDir()
	_, script, _ := strings.Cut(string(read(t, filepath.Join(chartDir, "README.md"))), "## Before")
	_, script, _ = strings.Cut(script, "```sh\n")
	script, _, ok := strings.Cut(script, "```")
	if !ok {
		t.Fatal("the chart's README has no script in its section Before")
	}
	have = secrets{}
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", "")) {
		line = strings.TrimSpace(line)
		_, secret, isSecret := strings.Cut(line, "create secret generic ")
		switch {
		case strings.HasPrefix(line, "router "):
			cmd := exec.CommandContext(t.Context(), "sh", "-c", binary+strings.TrimPrefix(line, "router"))
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		case isSecret:
			words := strings.Fields(secret)
			have[words[0]] = fromFiles(t, dir, words[1:])
		}
	}
	return string(read(t, filepath.Join(dir, "voice.conf"))), have
}

// fromFiles is what kubectl makes of --from-file=FILE and --from-file=DIRECTORY.
func fromFiles(t testing.TB, dir string, flags []string) map[string][]byte {
	t.Helper()
	content := map[string][]byte{}
	for _, flag := range flags {
		path := filepath.Join(dir, strings.TrimPrefix(flag, "--from-file="))
		files, err := filepath.Glob(filepath.Join(path, "*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			files = []string{path}
		}
		for _, file := range files {
			content[filepath.Base(file)] = read(t, file)
		}
	}
	return content
}

// TestInstall does what the chart's README says, with processes for pods: keys and
// accounts from the command line, three servers with the configuration that the
// official nats chart makes of our example, then the chart: the hook that
// provisions, workers and auth callout services, and the pod of helm test.
func TestInstall(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds two programs and runs eight processes")
	}
	binary, server := build(t, "./cmd/router"), build(t, "github.com/nats-io/nats-server/v2")
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		installs(t, binary, server, "nats", secrets{}, `{config: {streamReplicas: 3}, autoscaling: {keda: {enabled: true}}}`, "nats-values.yaml")
	})
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		tls := certificates(t)
		installs(t, binary, server, "tls", secrets{"nats-tls": tls, "voice-router-tls": tls}, `
config: {streamReplicas: 3}
nats:
  url: tls://nats:4222
  tls: {ca: {secretName: voice-router-tls}, client: {secretName: voice-router-tls}}
autoscaling: {keda: {enabled: true}}
`, "nats-values.yaml", "nats-tls-values.yaml")
	})
}

// installs installs with these values; scheme is that of nats.url.
func installs(t *testing.T, binary, server, scheme string, have secrets, values string, natsExamples ...string) {
	accounts, prepared := prepare(t, binary)
	maps.Copy(have, prepared)
	k := kubelet{binary: binary, secrets: have}
	cluster := startNATS(t, server, k, natsConfig(t, accounts, natsExamples...))
	k.replace = strings.NewReplacer(scheme+"://nats:4222", scheme+"://"+strings.Join(cluster.clients, ","+scheme+"://"))

	objects := install{values: valuesOf(t, values)}.objects(t, load(t))
	var deployments []*appsv1.Deployment
	var test *corev1.Pod
	for _, o := range typed(t, objects) {
		switch o := o.(type) {
		case *batchv1.Job: // a hook: before all else
			if out := k.succeed(t, o.Spec.Template.Spec); !strings.Contains(out, "created    identity proxy") {
				t.Errorf("provision: want the proxy's identity created, got\n%s", out)
			}
		case *appsv1.Deployment:
			deployments = append(deployments, o)
		case *corev1.Pod:
			test = o
		}
	}
	if len(deployments) != 2 || test == nil {
		t.Fatalf("want two Deployments and the pod of helm test, got %d and %v", len(deployments), test)
	}
	for _, d := range deployments {
		for range 2 {
			k.start(t, d.Spec.Template.Spec)
		}
	}
	out := k.succeed(t, test.Spec)
	if !strings.Contains(out, "one call was relayed") {
		t.Errorf("helm test: want one call relayed, got\n%s", out)
	}
	t.Logf("helm test printed\n%s", out)
	checkLag(t, cluster.monitor, objects)
}

// checkLag asks the servers what KEDA asks them, and wants the consumer that the
// ScaledObject names.
func checkLag(t *testing.T, monitor string, objects []object) {
	t.Helper()
	var trigger map[string]any
	for _, o := range objects {
		if o.GetKind() == "ScaledObject" {
			triggers, _, _ := unstructured.NestedSlice(o.Object, "spec", "triggers")
			trigger = triggers[0].(map[string]any)["metadata"].(map[string]any)
		}
	}
	if trigger == nil {
		t.Fatal("no ScaledObject")
	}
	found := func() bool {
		_, body := ask(t.Context(), "http://"+monitor+"/jsz?consumers=true&config=true&acc="+trigger["account"].(string))
		var answer struct {
			Accounts []struct {
				Name    string `json:"name"`
				Streams []struct {
					Name      string `json:"name"`
					Consumers []struct {
						Name string `json:"name"`
					} `json:"consumer_detail"`
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			return false
		}
		for _, account := range answer.Accounts {
			for _, stream := range account.Streams {
				for _, consumer := range stream.Consumers {
					if account.Name == trigger["account"] && stream.Name == trigger["stream"] && consumer.Name == trigger["consumer"] {
						return true
					}
				}
			}
		}
		return false
	}
	for deadline := time.Now().Add(patience); !found(); {
		if time.Now().After(deadline) {
			t.Fatalf("the servers know no consumer %v of stream %v in account %v", trigger["consumer"], trigger["stream"], trigger["account"])
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}
