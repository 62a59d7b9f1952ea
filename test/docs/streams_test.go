package docs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestStreams compares the limits in the table of streams with a provisioned
// broker.
func TestStreams(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true})
	js := brokertest.JetStream(t, b.Admin(t))
	table := map[string]string{}
	for _, row := range tableIn(t, "## Streams and buckets") {
		table[code(row[0])[0]] = row[2]
	}
	for _, name := range []string{subjects.StreamIn, subjects.StreamOut} {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		config := stream.CachedInfo().Config
		want := []string{fmt.Sprintf("%d KiB a message", config.MaxMsgSize>>10)}
		if config.MaxMsgsPerSubject > 0 {
			want = append(want, fmt.Sprintf("%d waiting messages", config.MaxMsgsPerSubject))
		}
		if config.MaxAge > 0 {
			want = append(want, fmt.Sprintf("%.0f h by default", config.MaxAge.Hours()))
		}
		for _, s := range want {
			if !strings.Contains(table[name], s) {
				t.Errorf("%s: want %q, got %q", name, s, table[name])
			}
		}
		if s := fmt.Sprintf("within the last %.0f minutes", config.Duplicates.Minutes()); !strings.Contains(strings.Join(strings.Fields(section(t, "### Publishing")), " "), s) {
			t.Errorf("publishing: want %q", s)
		}
	}
}
