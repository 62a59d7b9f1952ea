package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asRouter makes the test binary behave as the router, for tests that need a
// process of its own.
const asRouter = "TEST_RUN_AS_ROUTER"

func TestMain(m *testing.M) {
	if os.Getenv(asRouter) != "" {
		main()
	}
	// The nats command line tool's contexts of whoever runs the tests are none of
	// their business.
	if err := os.Setenv("XDG_CONFIG_HOME", os.DevNull); err != nil {
		panic(err)
	}
	for _, name := range unknownOrKnown() {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// unknownOrKnown names every variable with the prefix.
func unknownOrKnown() []string {
	var names []string
	for _, env := range os.Environ() {
		if name, _, _ := strings.Cut(env, "="); strings.HasPrefix(name, envPrefix+"_") {
			names = append(names, name)
		}
	}
	return names
}

// result is what a command line did.
type result struct {
	code           int
	stdout, stderr string
}

// cli runs a command line to its end.
func cli(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// mustSucceed runs a command line that must exit with 0.
func mustSucceed(t *testing.T, args ...string) result {
	t.Helper()
	r := cli(t, args...)
	if r.code != exitOK {
		t.Fatalf("router %s: want exit 0, got %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// wantFailure checks the exit code and that every part is in the error output.
func wantFailure(t *testing.T, r result, code int, parts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("want exit %d, got %d: %s", code, r.code, r.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(r.stderr, part) {
			t.Errorf("want %q in the error output, got:\n%s", part, r.stderr)
		}
	}
}
