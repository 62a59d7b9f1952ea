package chart

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// patience bounds every wait: machines that run tests are slow at times.
const patience = 60 * time.Second

// secrets are Secrets and ConfigMaps by name and key.
type secrets map[string]map[string][]byte

// kubelet runs the containers of pods as processes of this machine: what a pod
// mounts lies in a directory, and what it names by a path of the container is
// found there.
type kubelet struct {
	binary  string
	secrets secrets
	// replace has addresses of the cluster mean some of this machine.
	replace *strings.Replacer
}

// container is what a pod's only container is started with.
type container struct {
	name      string
	args, env []string
	http      string // address of the probes
	grace     time.Duration
}

func (k kubelet) container(t testing.TB, pod corev1.PodSpec) container {
	t.Helper()
	dir := t.TempDir()
	if len(pod.Containers) != 1 {
		t.Fatalf("want one container, got %d", len(pod.Containers))
	}
	spec := pod.Containers[0]
	var paths []string
	for _, mount := range spec.VolumeMounts {
		paths = append(paths, mount.MountPath, k.mount(t, dir, pod.Volumes, mount.Name))
	}
	replace := strings.NewReplacer(paths...)
	c := container{name: spec.Name, http: "127.0.0.1:" + freePort(t), env: []string{"PATH=" + os.Getenv("PATH")}}
	for _, arg := range spec.Args {
		c.args = append(c.args, replace.Replace(arg))
	}
	for _, variable := range spec.Env {
		value := k.replace.Replace(variable.Value)
		if variable.Name == "ROUTER_HTTP_ADDR" {
			value = c.http
		}
		if strings.HasPrefix(value, "/") {
			value = replace.Replace(value)
			if _, err := os.Stat(value); err != nil {
				t.Errorf("%s: %s names %s, which nothing mounts: %v", c.name, variable.Name, variable.Value, err)
			}
		}
		c.env = append(c.env, variable.Name+"="+value)
	}
	if pod.TerminationGracePeriodSeconds != nil {
		c.grace = time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	}
	return c
}

// mount writes a volume and returns its directory.
func (k kubelet) mount(t testing.TB, dir string, volumes []corev1.Volume, name string) string {
	t.Helper()
	dir = filepath.Join(dir, name)
	for _, v := range volumes {
		if v.Name != name {
			continue
		}
		source, items, mode := "", []corev1.KeyToPath(nil), os.FileMode(0o644)
		switch {
		case v.Secret != nil:
			source, items = v.Secret.SecretName, v.Secret.Items
			if v.Secret.DefaultMode != nil {
				mode = os.FileMode(*v.Secret.DefaultMode)
			}
		case v.ConfigMap != nil:
			source, items = v.ConfigMap.Name, v.ConfigMap.Items
		default:
			t.Fatalf("volume %s: want a Secret or a ConfigMap", name)
		}
		k.write(t, dir, source, items, mode)
		return dir
	}
	t.Fatalf("volume %s is mounted and does not exist", name)
	return ""
}

func (k kubelet) write(t testing.TB, dir, source string, items []corev1.KeyToPath, mode os.FileMode) {
	t.Helper()
	content, ok := k.secrets[source]
	if !ok {
		t.Fatalf("%s is mounted and does not exist", source)
	}
	if len(items) == 0 {
		for key := range content {
			items = append(items, corev1.KeyToPath{Key: key, Path: key})
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		text, ok := content[item.Key]
		if !ok {
			t.Fatalf("%s has no key %s", source, item.Key)
		}
		file := filepath.Join(dir, item.Path)
		if err := errors.Join(os.WriteFile(file, text, 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// succeed runs a pod until it succeeds, as often as a Job would or more, and
// returns what it printed.
func (k kubelet) succeed(t testing.TB, pod corev1.PodSpec) string {
	t.Helper()
	c := k.container(t, pod)
	deadline := time.Now().Add(patience)
	for {
		cmd := exec.CommandContext(t.Context(), k.binary, c.args...)
		cmd.Env = c.env
		out, err := cmd.CombinedOutput()
		if err == nil {
			return string(out)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %q: %v\n%s", c.name, c.args, err, out)
		}
	}
}

// start runs a pod until the test ends, and returns when it is ready. At the end
// it gets SIGTERM, and must be gone within its grace period.
func (k kubelet) start(t testing.TB, pod corev1.PodSpec) {
	t.Helper()
	c := k.container(t, pod)
	startProcess(t, c.name, k.binary, c.args, c.env, c.grace)
	awaitOK(t, "http://"+c.http+pod.Containers[0].ReadinessProbe.HTTPGet.Path)
	awaitOK(t, "http://"+c.http+pod.Containers[0].LivenessProbe.HTTPGet.Path)
}

// startProcess runs a program until the test ends.
func startProcess(t testing.TB, name, binary string, args, env []string, grace time.Duration) {
	t.Helper()
	var out output
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: want exit 0 after SIGTERM, got %v", name, err)
			}
		case <-time.After(grace):
			_ = cmd.Process.Kill()
			<-done
			t.Errorf("%s: still there %s after SIGTERM", name, grace)
		}
		if t.Failed() {
			t.Logf("%s printed\n%s", name, out.String())
		}
	})
}

// output is a buffer that a process writes while a test may read.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// awaitOK asks until the answer is 200.
func awaitOK(t testing.TB, url string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		status, body := ask(t.Context(), url)
		if status == http.StatusOK {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: want 200, got %d %s", url, status, body)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ask(ctx context.Context, url string) (status int, body string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
