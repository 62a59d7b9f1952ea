package chart

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// everything sets each value that makes a variable, and that the defaults leave out.
const everything = `
nats:
  tls:
    ca: {secretName: ca}
    client: {secretName: client}
    handshakeFirst: true
config: {streamMaxAge: 24h, streamReplicas: 3}
`

// known are the variables that the binary knows, with their defaults: the table in
// the README, which a test of the binary holds against it.
func known(t testing.TB) map[string]string {
	t.Helper()
	_, table, ok := strings.Cut(string(read(t, filepath.Join(root, "README.md"))), "<!-- config:begin -->")
	table, _, _ = strings.Cut(table, "<!-- config:end -->")
	variables := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(ROUTER_\\w+)` \\| `?([^|`]*)`? \\|").FindAllStringSubmatch(table, -1) {
		variables[row[1]] = strings.TrimSpace(row[2])
	}
	if !ok || len(variables) < 20 {
		t.Fatalf("the table of variables in README.md: got %q", variables)
	}
	return variables
}

// workload is a pod that the chart makes.
type workload struct {
	kind string
	spec corev1.PodSpec
}

func workloads(t testing.TB, values string) []workload {
	t.Helper()
	var all []workload
	for _, o := range typed(t, install{values: valuesOf(t, values)}.objects(t, load(t))) {
		switch o := o.(type) {
		case *appsv1.Deployment:
			all = append(all, workload{"Deployment " + o.Name, o.Spec.Template.Spec})
		case *batchv1.Job:
			all = append(all, workload{"Job " + o.Name, o.Spec.Template.Spec})
		case *corev1.Pod:
			all = append(all, workload{"Pod " + o.Name, o.Spec})
		}
	}
	if len(all) != 4 {
		t.Fatalf("want workers, auth callout, provisioning and test, got %d pods", len(all))
	}
	return all
}

// TestVariables wants every variable of the Deployments known to the binary, and
// every variable of the binary settable by a value.
func TestVariables(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, values := range []string{
		everything,
		everything + "credentials: {worker: {type: creds}, auth: {type: password, user: auth}}\n",
	} {
		for _, w := range workloads(t, values) {
			seen := map[string]bool{}
			for _, variable := range w.spec.Containers[0].Env {
				if seen[variable.Name] {
					t.Errorf("%s: %s is set twice", w.kind, variable.Name)
				}
				seen[variable.Name] = true
				have[variable.Name] = true
			}
		}
	}
	want := slices.Sorted(maps.Keys(known(t)))
	if got := slices.Sorted(maps.Keys(have)); !slices.Equal(want, got) {
		t.Errorf("variables\nthe binary knows %q\nthe chart sets   %q", want, got)
	}
}

// TestDefaults wants what the chart sets by default to be the binary's default,
// unless there is a reason.
func TestDefaults(t *testing.T) {
	t.Parallel()
	different := map[string]string{
		"ROUTER_NATS_URL":       "nats://nats:4222", // the Service of the official chart
		"ROUTER_NATS_NKEY_FILE": "/etc/voice-router/nats/credential", "ROUTER_PROXY_KEYS": "/etc/voice-router/proxies",
		"ROUTER_AUTH_ISSUER_FILE": "/etc/voice-router/callout/issuer", "ROUTER_AUTH_XKEY_FILE": "/etc/voice-router/callout/xkey",
	}
	defaults := known(t)
	for _, w := range workloads(t, "{}") {
		for _, variable := range w.spec.Containers[0].Env {
			want, ok := different[variable.Name]
			if !ok {
				want = defaults[variable.Name]
			}
			if variable.Value != want {
				t.Errorf("%s: %s: want %q, got %q", w.kind, variable.Name, want, variable.Value)
			}
		}
	}
}

// TestSignaturesOff writes off as YAML wants it, and as people do.
func TestSignaturesOff(t *testing.T) {
	t.Parallel()
	for _, values := range []string{`{config: {signatures: "off"}}`, `{config: {signatures: off}}`} {
		for _, w := range workloads(t, values) {
			for _, variable := range w.spec.Containers[0].Env {
				if variable.Name == "ROUTER_SIGNATURES" && variable.Value != "off" {
					t.Errorf("%s: %s: want off, got %s", values, w.kind, variable.Value)
				}
			}
		}
	}
}

// TestNumbersAreWhole sets the largest numbers that the schema allows: Helm reads
// them as floating point, and 1e+06 is not a number to the binary.
func TestNumbersAreWhole(t *testing.T) {
	t.Parallel()
	values := `{config: {cacheSize: 1000000, limits: {messages: 1000000, starts: -1, appMessages: 1000000}}, podSecurity: {runAsUser: 1000660000}}`
	for _, w := range workloads(t, values) {
		for _, variable := range w.spec.Containers[0].Env {
			if want := map[string]string{"ROUTER_CACHE_SIZE": "1000000", "ROUTER_LIMITS_MESSAGES": "1000000", "ROUTER_LIMITS_STARTS": "-1"}[variable.Name]; want != "" && variable.Value != want {
				t.Errorf("%s: want %s, got %s", variable.Name, want, variable.Value)
			}
		}
		if got := *w.spec.SecurityContext.RunAsUser; got != 1000660000 {
			t.Errorf("%s: want user 1000660000, got %d", w.kind, got)
		}
	}
}

// TestArguments has the binary parse the command line of every container.
func TestArguments(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	binary := build(t, "./cmd/router")
	for _, w := range workloads(t, `{helmTest: {proxy: some-proxy}}`) {
		args := append(slices.Clone(w.spec.Containers[0].Args), "--help")
		out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
		command := strings.Join(slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return strings.HasPrefix(arg, "-") }), " ")
		if err != nil || !strings.Contains(string(out), "router "+command) {
			t.Errorf("%s: router %q: want the help of %q, got %v\n%s", w.kind, args, command, err, out)
		}
	}
}

// TestGracePeriod wants pods to be killed later than they give up draining.
func TestGracePeriod(t *testing.T) {
	t.Parallel()
	for _, seconds := range []int{1, 25, 600} {
		for _, w := range workloads(t, fmt.Sprintf("{config: {shutdownTimeoutSeconds: %d}}", seconds)) {
			if !strings.HasPrefix(w.kind, "Deployment") {
				continue
			}
			drain := time.Duration(-1)
			for _, variable := range w.spec.Containers[0].Env {
				if variable.Name == "ROUTER_SHUTDOWN_TIMEOUT" {
					drain, _ = time.ParseDuration(variable.Value)
				}
			}
			if drain != time.Duration(seconds)*time.Second {
				t.Errorf("%s: want a drain of %d s, got %s", w.kind, seconds, drain)
			}
			if grace := time.Duration(*w.spec.TerminationGracePeriodSeconds) * time.Second; grace < drain+10*time.Second {
				t.Errorf("%s: want to be killed at least 10 s after a drain of %s, got %s", w.kind, drain, grace)
			}
		}
	}
}
