package arch

import (
	"go/parser"
	"path"
	"slices"
	"strings"
	"testing"
)

// Modules that several packages share.
const (
	natsGo = "github.com/nats-io/nats.go/..."
	nkeys  = "github.com/nats-io/nkeys"
	strict = "github.com/go-json-experiment/json/..."
	lru    = "github.com/hashicorp/golang-lru/v2/..."
	orbit  = "github.com/synadia-io/orbit.go/..."
	server = "github.com/nats-io/nats-server/v2/..."
	curve  = "github.com/oasisprotocol/curve25519-voi/..."
	prom   = "github.com/prometheus/client_golang/..."
	toxi   = "github.com/Shopify/toxiproxy/v2"
	// The interface of OpenTelemetry: what implements it is chosen by commands.
	spans   = "go.opentelemetry.io/otel/trace"
	spanTag = "go.opentelemetry.io/otel/attribute"
	spanEnd = "go.opentelemetry.io/otel/codes"
)

// rule says what the code of a package, its tests aside, may import.
type rule struct {
	ours   []string // packages of this module
	others []string // of other modules
}

// rules is the table of docs/ARCHITECTURE.md, "Packages": downward only.
var rules = map[string]rule{
	"subjects": {},
	// The directory of identities is a bucket, which identity reads from its
	// leader.
	"identity": {ours: []string{"subjects", "internal/msgget", "internal/plainjson"}, others: []string{natsGo, nkeys, strict, lru, curve}},
	"signal":   {ours: []string{"subjects", "identity", "internal/plainjson"}, others: []string{strict}},
	"call":     {ours: []string{"subjects", "identity", "signal", "internal/plainjson"}, others: []string{strict}},
	"router": {
		ours:   []string{"subjects", "identity", "signal", "call", "internal/msgget", "internal/tracing"},
		others: []string{natsGo, strict, lru, orbit, prom, spans, spanTag, "golang.org/x/time/rate"},
	},
	"auth": {
		ours:   []string{"subjects", "identity", "signal", "internal/msgget"},
		others: []string{natsGo, nkeys, strict, prom, "github.com/nats-io/jwt/v2"},
	},
	"voice": {ours: []string{"subjects", "identity", "signal", "internal/tracing"}, others: []string{natsGo, nkeys, strict, spans, spanTag, spanEnd}},

	"internal/plainjson": {others: []string{strict}},
	"internal/msgget":    {ours: []string{"subjects"}, others: []string{natsGo, strict}},
	// The broker's configuration grants what auth grants.
	"internal/broker":    {ours: []string{"subjects", "identity", "signal", "auth"}, others: []string{natsGo, nkeys, server, "github.com/nats-io/jwt/v2"}},
	"internal/monitor":   {others: []string{natsGo, strict, prom}},
	"internal/redact":    {},
	"internal/tracing":   {others: []string{spans, "go.opentelemetry.io/otel/propagation"}},
	"internal/provision": {ours: []string{"subjects", "identity"}, others: []string{natsGo}},
	"internal/doctor": {
		ours:   []string{"subjects", "identity", "signal", "auth", "internal/broker", "internal/provision", "internal/msgget"},
		others: []string{natsGo, nkeys, strict},
	},
	// A package that only tests import.
	"internal/broker/brokertest": {ours: []string{"subjects", "identity", "auth", "internal/broker", "internal/provision"}, others: []string{natsGo, nkeys}},
	// A fleet of processes, and what breaks it.
	"internal/cluster": {
		ours:   []string{"subjects", "identity", "auth", "internal/broker", "internal/provision"},
		others: []string{natsGo, nkeys, strict, toxi, "github.com/rs/zerolog"},
	},
	"internal/cluster/clustertest": {ours: []string{"internal/cluster"}},
	// The demo is a program that happens to be a package.
	"internal/demo": {
		ours:   []string{"subjects", "identity", "signal", "call", "router", "voice", "auth", "internal/..."},
		others: []string{natsGo, nkeys, strict, orbit},
	},
	"cmd/router": {
		ours: []string{"subjects", "identity", "signal", "call", "router", "voice", "auth", "internal/..."},
		others: []string{
			natsGo, nkeys, strict, prom, server, "github.com/nats-io/jwt/v2", "github.com/nats-io/jsm.go/natscontext",
			"github.com/kelseyhightower/envconfig", "github.com/spf13/cobra", "github.com/spf13/pflag", "go.opentelemetry.io/otel/...",
		},
	},
	// What is written with the SDK needs nothing else.
	"examples/proxy": {ours: []string{"identity", "voice"}, others: []string{natsGo, nkeys}},
	// What a chaos run is made of: programs against a fleet, and the judge of what
	// they left behind.
	"test/chaos": {
		ours:   []string{"subjects", "signal", "call", "voice", "internal/broker", "internal/cluster", "internal/provision", "test/chaos/..."},
		others: []string{natsGo, strict},
	},
	"test/chaos/history": {ours: []string{"signal", "call"}, others: []string{strict}},
	"test/chaos/checker": {
		ours:   []string{"subjects", "identity", "signal", "call", "test/chaos/history"},
		others: []string{natsGo, strict, "github.com/anishathalye/porcupine"},
	},
	"test/chaos/workload": {
		ours:   []string{"subjects", "identity", "signal", "call", "voice", "test/chaos/history"},
		others: []string{natsGo, nkeys, strict},
	},
	"test/arch":        {},
	"test/clock":       {},
	"test/docs":        {},
	"test/integration": {},
	"test/operations":  {},
	"test/security":    {},
}

// TestImports: every package has a rule and keeps it.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t, parser.ImportsOnly) {
		seen[s.dir] = true
		r, known := rules[s.dir]
		if !known {
			t.Errorf("%s: package %s has no rule: say in rules what it may import", s.path, s.dir)
			continue
		}
		if s.test {
			continue
		}
		for _, imported := range s.imports(t) {
			ours, isOurs := strings.CutPrefix(imported, module+"/")
			switch {
			case standard(imported), isOurs && within(ours, r.ours), !isOurs && within(imported, r.others):
			default:
				t.Errorf("%s: package %s may not import %s", s.path, s.dir, imported)
			}
		}
	}
	for dir := range rules {
		if !seen[dir] {
			t.Errorf("package %s has a rule and no files", dir)
		}
	}
}

// TestRouterAndVoiceApart: not even their tests join the two; that is what
// test/integration is for.
func TestRouterAndVoiceApart(t *testing.T) {
	other := map[string]string{"router": "voice", "voice": "router"}
	for _, s := range sources(t, parser.ImportsOnly) {
		if apart := other[s.dir]; apart != "" && slices.Contains(s.imports(t), module+"/"+apart) {
			t.Errorf("%s: package %s imports %s", s.path, s.dir, apart)
		}
	}
}

// TestTestsStayInTests: code that is shipped uses neither package testing nor
// the broker for tests.
func TestTestsStayInTests(t *testing.T) {
	for _, s := range sources(t, parser.ImportsOnly) {
		if s.test || s.dir == "internal/broker/brokertest" || s.dir == "internal/cluster/clustertest" {
			continue
		}
		for _, imported := range s.imports(t) {
			if imported == "testing" || strings.HasPrefix(imported, "testing/") || strings.HasSuffix(imported, "test") {
				t.Errorf("%s imports %s", s.path, imported)
			}
		}
	}
}

// TestNames: a package is named for what it provides.
func TestNames(t *testing.T) {
	vague := []string{"util", "utils", "common", "types", "pkg", "helper", "helpers", "misc", "shared", "base", "lib"}
	for _, s := range sources(t, parser.PackageClauseOnly) {
		name := strings.TrimSuffix(s.file.Name.Name, "_test")
		if slices.Contains(vague, name) {
			t.Errorf("%s: package %s", s.path, name)
		}
		for element := range strings.SplitSeq(s.dir, "/") {
			if slices.Contains(vague, element) {
				t.Errorf("%s lies in a directory %s", s.path, element)
			}
		}
		if last := path.Base(s.dir); name != last && name != "main" {
			t.Errorf("%s: package %s in directory %s", s.path, name, last)
		}
	}
}
