package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// envPrefix begins the name of every variable.
const envPrefix = "ROUTER"

// config is the configuration from the environment. The tags desc make the table
// in the README (see configTable).
type config struct {
	NATS struct {
		URL          string `default:"nats://127.0.0.1:4222" desc:"Servers, comma-separated"`
		Creds        string `desc:"File with the worker's NATS credentials (JWT and seed)"`
		NkeyFile     string `split_words:"true" desc:"File with the worker's nkey seed"`
		User         string `desc:"The worker's user name, with ROUTER_NATS_PASSWORD_FILE"`
		PasswordFile string `split_words:"true" desc:"File with the worker's password"`
		TLS          struct {
			CA    string `desc:"File with the certificates (PEM) that the server's is checked against"`
			Cert  string `desc:"File with the client certificate (PEM)"`
			Key   string `desc:"File with the key of the client certificate (PEM)"`
			First bool   `default:"false" desc:"Begin with the TLS handshake, for servers with handshake_first"`
		}
	}
	Auth struct {
		IssuerFile   string        `split_words:"true" desc:"router auth: file with the seed of the account key that signs user JWTs (SA...)"`
		XkeyFile     string        `split_words:"true" desc:"router auth: file with the seed of the curve key that requests are encrypted for (SX...)"`
		TTL          time.Duration `default:"1h" desc:"router auth: life of a user JWT, 1m to 24h. When it is over the connection is made anew"`
		Parallel     int           `default:"16" desc:"router auth: requests that are decided at once, 1 to 1024"`
		RefusalDelay time.Duration `split_words:"true" default:"100ms" desc:"router auth: how long after a request it is refused, for whatever reason, 0s to 1s"`
	}
	ProxyKeys       string        `split_words:"true" desc:"Directory of signing keys: <selfid>.jwk for every proxy that the fleet serves, router.jwk for the fleet itself"`
	Signatures      string        `default:"required" desc:"required: every message is verified and signed. off: none is, for closed networks (docs/security.md, Without signatures)"`
	HTTPAddr        string        `split_words:"true" default:":9090" desc:"Address of /metrics, /livez, /readyz and /version"`
	Pprof           bool          `default:"false" desc:"Serve profiles (net/http/pprof) at ROUTER_HTTP_ADDR: they show the memory of the process"`
	LogLevel        slog.Level    `split_words:"true" default:"info" desc:"debug, info, warn or error. SIGUSR1 makes it debug in a running process, SIGUSR2 what it was"`
	LogFormat       string        `split_words:"true" default:"json" desc:"json, or text for people"`
	RingTimeout     time.Duration `split_words:"true" default:"60s" desc:"How long a call rings, 5s to 180s"`
	MaxCallDuration time.Duration `split_words:"true" default:"4h" desc:"How long a call lasts at most, 1m to 168h"`
	MaxMessageAge   time.Duration `split_words:"true" default:"5m" desc:"How old a message may be when the broker receives it, 10s to 24h"`
	StreamMaxAge    time.Duration `split_words:"true" desc:"How long VOICE_OUT keeps messages, more than twice ROUTER_MAX_CALL_DURATION. Unset: 12h when provisioned, whatever is long enough when verified"`
	Replicas        int           `desc:"Replicas of streams and buckets, 1 to 5. Unset: 1 when provisioned, any when verified"`
	BatchSize       int           `split_words:"true" default:"900" desc:"Messages that are verified and committed together at most, 1 to 1000"`
	CacheSize       int           `split_words:"true" default:"4096" desc:"Call records kept in memory, 1 to 1000000"`
	Limits          struct {
		Messages    int `default:"50" desc:"Messages per second of a user, per worker, in bursts of twice as many; stop and busy are not counted. -1: no limit"`
		Starts      int `default:"60" desc:"Starts of calls per minute of a user, per worker, in bursts of half as many. -1: no limit"`
		AppMessages int `split_words:"true" default:"2000" desc:"Messages per second of an app, per worker. -1: no limit"`
	}
	RotateEvery     time.Duration `split_words:"true" default:"10s" desc:"How often key files are looked at for new content, 100ms to 1h"`
	ShutdownTimeout time.Duration `split_words:"true" default:"25s" desc:"How long draining may take after SIGTERM, 1s to 10m"`
}

// variable is one leaf of config.
type variable struct {
	key   string
	tag   reflect.StructTag
	value reflect.Value
}

// variables lists the leaves of cfg with the names that envconfig gives them.
func variables(cfg *config) []variable {
	var keys strings.Builder
	if err := envconfig.Usagef(envPrefix, cfg, &keys, "{{range .}}{{usage_key .}} {{end}}"); err != nil {
		panic(err) // only for a spec that is not a pointer to a struct
	}
	leaves := leavesOf(reflect.ValueOf(cfg).Elem())
	for i, key := range strings.Fields(keys.String()) {
		leaves[i].key = key
	}
	return leaves
}

func leavesOf(v reflect.Value) []variable {
	var leaves []variable
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Struct {
			leaves = append(leaves, leavesOf(f)...)
		} else {
			leaves = append(leaves, variable{tag: v.Type().Field(i).Tag, value: f})
		}
	}
	return leaves
}

// loadConfig reads the environment and reports every mistake in it at once. The
// error is a usage error.
func loadConfig() (config, error) {
	cfg, errs := readConfig()
	if err := errors.Join(errs...); err != nil {
		return cfg, usagef("configuration:\n%w", err)
	}
	return cfg, nil
}

// readConfig reads the environment, and every mistake in it.
func readConfig() (cfg config, errs []error) {
	unreadable := map[string]bool{}
	for _, v := range variables(&cfg) {
		if err := v.read(); err != nil {
			errs = append(errs, err)
			unreadable[v.key] = true
		}
	}
	return cfg, append(errs, cfg.check(unreadable)...)
}

// read sets the variable through envconfig, one at a time: envconfig stops at
// the first mistake, and its error shows the value, which may be a secret that
// was put into the wrong variable.
func (v variable) read() error {
	def := v.tag.Get("default")
	if text, set := os.LookupEnv(v.key); set && text == "" && def != "" {
		return fmt.Errorf("%s is set but empty: unset it for the default %s", v.key, def)
	}
	one := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "Value", Type: v.value.Type(),
		Tag: reflect.StructTag(fmt.Sprintf("envconfig:%q default:%q", v.key, def)),
	}}))
	if text, set := os.LookupEnv(v.key); set && text == "" && v.value.Kind() != reflect.String {
		return nil // as good as unset
	}
	if err := envconfig.Process("", one.Interface()); err != nil {
		return fmt.Errorf("%s is not %s", v.key, kindOf(v.value))
	}
	v.value.Set(one.Elem().Field(0))
	return nil
}

// kindOf says what a variable must look like.
func kindOf(v reflect.Value) string {
	switch v.Interface().(type) {
	case time.Duration:
		return "a duration such as 30s, 5m or 4h"
	case slog.Level:
		return "a level: debug, info, warn or error"
	case int:
		return "a whole number"
	case bool:
		return "true or false"
	default:
		return "a " + v.Type().String()
	}
}

// unknownVariables names the variables with the prefix that mean nothing: they
// are likely misspelt.
func unknownVariables() []string {
	known := map[string]bool{}
	for _, v := range variables(new(config)) {
		known[v.key] = true
	}
	var unknown []string
	for _, env := range os.Environ() {
		name, _, _ := strings.Cut(env, "=")
		if strings.HasPrefix(name, envPrefix+"_") && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// configTable renders the variables as a table in Markdown.
func configTable() string {
	var b strings.Builder
	b.WriteString("| Variable | Default | Meaning |\n|---|---|---|\n")
	for _, v := range variables(new(config)) {
		def := v.tag.Get("default")
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.key, def, strings.NewReplacer("|", "\\|", "<", "&lt;", ">", "&gt;").Replace(v.tag.Get("desc")))
	}
	return b.String()
}

// configText renders the variables for a terminal.
func configText() string {
	var b strings.Builder
	for _, v := range variables(new(config)) {
		fmt.Fprintf(&b, "  %s\n      %s", v.key, v.tag.Get("desc"))
		if def := v.tag.Get("default"); def != "" {
			fmt.Fprintf(&b, " (default %s)", def)
		}
		b.WriteString("\n")
	}
	return b.String()
}
