package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestLimits holds the values of the table in docs/scaling.md against the code:
// ours, and that of the server in the version that is required.
func TestLimits(t *testing.T) {
	t.Parallel()
	js := brokertest.JetStream(t, brokertest.Start(t, brokertest.Options{Memory: true}).Admin(t))
	in, err := js.Stream(t.Context(), subjects.StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(t.Context(), subjects.StreamIn, subjects.ConsumerRouter)
	if err != nil {
		t.Fatal(err)
	}
	constant := serverConstants(t)
	want := map[string]int{
		"open atomic batches of a stream":              constant["streamDefaultMaxAtomicBatchInflightPerStream"],
		"open atomic batches of a server":              constant["streamDefaultMaxAtomicBatchInflightTotal"],
		"messages of an atomic batch":                  constant["streamDefaultMaxAtomicBatchSize"],
		"messages delivered and not acknowledged":      consumer.CachedInfo().Config.MaxAckPending,
		"waiting messages of one type of one identity": int(in.CachedInfo().Config.MaxMsgsPerSubject),
		"consumers of a stream":                        server.JSDefaultMaxConsumersPerStream,
		"connections of a server":                      server.DEFAULT_MAX_CONNECTIONS,
		"calls on one conversation":                    call.MaxPast,
	}
	text := between(t, "../../docs/scaling.md", "<!-- limits:begin -->\n", "<!-- limits:end -->")
	found := 0
	for _, row := range rows(t, "limits", text) {
		value, known := want[row[0]]
		if !known {
			continue
		}
		found++
		if first, _, _ := strings.Cut(row[1], " "); first != strconv.Itoa(value) {
			t.Errorf("docs/scaling.md: %s: want %d, got %s", row[0], value, row[1])
		}
	}
	if found != len(want) {
		t.Errorf("docs/scaling.md: %d of %d limits found in the table", found, len(want))
	}
}

var constantLine = regexp.MustCompile(`(?m)^\s+(streamDefault\w+)\s+= (\d+)$`)

// serverConstants reads the constants that the server does not export.
func serverConstants(t *testing.T) map[string]int {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/nats-io/nats-server/v2/server").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "stream.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, m := range constantLine.FindAllStringSubmatch(string(source), -1) {
		all[m[1]], _ = strconv.Atoi(m[2])
	}
	return all
}
