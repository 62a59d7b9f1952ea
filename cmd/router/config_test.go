package main

import (
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the table of variables in the README")

func TestConfigDefaults(t *testing.T) {
	cfg, err := loadConfig()
	if err != nil {
		t.Fatalf("an empty environment: want no error, got %v", err)
	}
	want := config{
		Signatures: "required", HTTPAddr: ":9090", LogLevel: slog.LevelInfo, LogFormat: "json", RingTimeout: time.Minute, MaxCallDuration: 4 * time.Hour,
		MaxMessageAge: 5 * time.Minute, BatchSize: 900, CacheSize: 4096, ShutdownTimeout: 25 * time.Second, RotateEvery: 10 * time.Second,
	}
	want.NATS.URL = "nats://127.0.0.1:4222"
	want.Limits.Messages, want.Limits.Starts, want.Limits.AppMessages = 50, 60, 2000
	want.Auth.TTL, want.Auth.Parallel, want.Auth.RefusalDelay = time.Hour, 16, 100*time.Millisecond
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestConfigReadsEveryVariable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"ROUTER_NATS_URL": "tls://a:1,tls://b:2", "ROUTER_NATS_USER": "u", "ROUTER_NATS_PASSWORD_FILE": file,
		"ROUTER_NATS_TLS_CA": file, "ROUTER_NATS_TLS_CERT": file, "ROUTER_NATS_TLS_KEY": file, "ROUTER_PROXY_KEYS": filepath.Dir(file),
		"ROUTER_SIGNATURES": "off", "ROUTER_HTTP_ADDR": "127.0.0.1:1", "ROUTER_LOG_LEVEL": "debug", "ROUTER_LOG_FORMAT": "text", "ROUTER_RING_TIMEOUT": "30s",
		"ROUTER_MAX_CALL_DURATION": "1h", "ROUTER_MAX_MESSAGE_AGE": "1m", "ROUTER_STREAM_MAX_AGE": "3h", "ROUTER_REPLICAS": "3",
		"ROUTER_BATCH_SIZE": "100", "ROUTER_CACHE_SIZE": "1000", "ROUTER_SHUTDOWN_TIMEOUT": "10s",
		"ROUTER_NATS_CREDS": "", "ROUTER_NATS_NKEY_FILE": "", "ROUTER_NATS_TLS_FIRST": "true",
		"ROUTER_AUTH_ISSUER_FILE": file, "ROUTER_AUTH_XKEY_FILE": file, "ROUTER_AUTH_TTL": "10m", "ROUTER_AUTH_PARALLEL": "8",
		"ROUTER_PPROF": "true", "ROUTER_AUTH_REFUSAL_DELAY": "1s", "ROUTER_ROTATE_EVERY": "1m",
		"ROUTER_LIMITS_MESSAGES": "10", "ROUTER_LIMITS_STARTS": "6", "ROUTER_LIMITS_APP_MESSAGES": "-1",
	}
	for key, value := range values {
		t.Setenv(key, value)
	}
	cfg, err := loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variables(&cfg) {
		value, tested := values[v.key]
		if !tested {
			t.Errorf("%s is not tested", v.key)
		}
		if (value == "") != v.value.IsZero() {
			t.Errorf("%s=%q: got %v", v.key, value, v.value)
		}
	}
	if cfg.NATS.TLS.CA != file || cfg.StreamMaxAge != 3*time.Hour || cfg.LogLevel != slog.LevelDebug || cfg.Replicas != 3 {
		t.Errorf("want the values of the environment, got %+v", cfg)
	}
	if unknown := unknownVariables(); len(unknown) > 0 {
		t.Errorf("want every variable known, got %v", unknown)
	}
	t.Setenv("ROUTER_RING_TIMEOT", "1s")
	if diff := cmp.Diff([]string{"ROUTER_RING_TIMEOT"}, unknownVariables()); diff != "" {
		t.Errorf("unknown variables (-want +got):\n%s", diff)
	}
}

// TestConfigReportsEveryMistake puts a secret into every variable by mistake:
// each is reported, none is shown.
func TestConfigReportsEveryMistake(t *testing.T) {
	const secret = "hunter2"
	keys := map[string]string{
		"ROUTER_NATS_URL":           "nats://router:" + secret + "@host:4222",
		"ROUTER_NATS_CREDS":         secret,
		"ROUTER_NATS_NKEY_FILE":     secret,
		"ROUTER_NATS_PASSWORD_FILE": secret,
		"ROUTER_NATS_TLS_CA":        secret,
		"ROUTER_NATS_TLS_CERT":      secret,
		"ROUTER_PROXY_KEYS":         secret,
		"ROUTER_HTTP_ADDR":          secret,
		"ROUTER_LOG_LEVEL":          secret,
		"ROUTER_LOG_FORMAT":         secret,
		"ROUTER_RING_TIMEOUT":       secret,
		"ROUTER_MAX_CALL_DURATION":  "1s",
		"ROUTER_MAX_MESSAGE_AGE":    "48h",
		"ROUTER_STREAM_MAX_AGE":     "2s",
		"ROUTER_REPLICAS":           secret,
		"ROUTER_BATCH_SIZE":         "0",
		"ROUTER_CACHE_SIZE":         "-1",
		"ROUTER_SHUTDOWN_TIMEOUT":   "",
	}
	for key, value := range keys {
		t.Setenv(key, value)
	}
	r := cli(t, "serve")
	wantFailure(t, r, exitUsage,
		"ROUTER_NATS_CREDS and ROUTER_NATS_NKEY_FILE are set together",
		"ROUTER_NATS_USER and ROUTER_NATS_PASSWORD_FILE belong together",
		"ROUTER_NATS_TLS_CERT and ROUTER_NATS_TLS_KEY belong together",
		"ROUTER_RING_TIMEOUT is not a duration", "ROUTER_LOG_LEVEL is not a level", "ROUTER_REPLICAS is not a whole number",
		"ROUTER_MAX_CALL_DURATION is 1s: want 1m0s to 168h0m0s", "ROUTER_STREAM_MAX_AGE is 2s: want more than twice",
		"ROUTER_SHUTDOWN_TIMEOUT is set but empty")
	for key := range keys {
		if !strings.Contains(r.stderr, key) {
			t.Errorf("want %s among the mistakes, got:\n%s", key, r.stderr)
		}
	}
	if strings.Contains(r.stderr, secret) {
		t.Errorf("want no value shown that may be a secret, got:\n%s", r.stderr)
	}
	if r.stdout != "" {
		t.Errorf("want nothing on standard output, got %q", r.stdout)
	}
}

func TestSecretFilesAreNotShown(t *testing.T) {
	const secret = "hunter2"
	dir := t.TempDir()
	for name, content := range map[string]string{
		"proxy.jwk": `{"kty":"OKP","crv":"Ed25519","kid":"1","x":"AA","d":"` + secret + `"}`,
		"a b.jwk":   secret, "third.jwk": secret, "other.txt": secret,
		"seed": secret,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("ROUTER_PROXY_KEYS", dir)
	t.Setenv("ROUTER_BATCH_SIZE", "0")
	t.Setenv("ROUTER_NATS_NKEY_FILE", filepath.Join(dir, "seed"))
	r := cli(t, "serve")
	wantFailure(t, r, exitUsage, "ROUTER_BATCH_SIZE", "ROUTER_NATS_NKEY_FILE", "proxy.jwk", "a b.jwk", "third.jwk")
	seed := cli(t, "call", "list", "--server", "nats://127.0.0.1:1", "--nkey", filepath.Join(dir, "seed"))
	wantFailure(t, seed, exitUsage, "NATS credentials")
	for _, out := range []string{r.stderr, seed.stderr} {
		if strings.Contains(out, secret) {
			t.Errorf("want no secret shown, got:\n%s", out)
		}
	}
}

// TestReadmeListsTheVariables holds the table in the README against the code;
// -update rewrites it.
func TestReadmeListsTheVariables(t *testing.T) {
	const name, begin, end = "../../README.md", "<!-- config:begin -->\n", "<!-- config:end -->"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	have, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s: want the table of variables between %q and %q", name, begin, end)
	}
	if *update {
		if err := os.WriteFile(name, []byte(before+begin+configTable()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(configTable(), have); diff != "" {
		t.Errorf("%s (-want +got; go test ./cmd/router -run Readme -update rewrites it):\n%s", name, diff)
	}
	for _, v := range variables(new(config)) {
		if v.tag.Get("desc") == "" {
			t.Errorf("%s has no description", v.key)
		}
	}
}
