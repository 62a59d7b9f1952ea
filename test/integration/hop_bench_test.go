package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/signal"
)

// BenchmarkHop measures an idle hop: one message at a time, from its publication
// to its live delivery to the other side, with everything on.
func BenchmarkHop(b *testing.B) {
	for _, storage := range []provision.Storage{provision.Memory, provision.File} {
		b.Run("storage="+string(storage), func(b *testing.B) {
			const calls = 100
			w := newWorld(b, brokertest.Options{Provision: provision.Options{Storage: storage}})
			w.fleet(nil)
			op, cu := w.endpoint(operator), w.endpoint(customer)
			for i := range calls {
				w.route(fmt.Sprint("c", i), nil)
				op.say(signal.Start, fmt.Sprint("c", i), "k", func(m *signal.Message) { m.PeerInfo = sdp })
				cu.expect(signal.Start, "k")
			}
			took := make([]time.Duration, 0, b.N)
			b.ResetTimer()
			for i := range b.N {
				m := op.claims(signal.Candidate, fmt.Sprint("c", i%calls), "k")
				m.PeerInfo = sdp[:160]
				payload, err := m.Encode()
				if err != nil {
					b.Fatal(err)
				}
				envelope := op.id.Key.Sign(payload)
				start := time.Now()
				op.publish(string(m.Type), m.JTI, envelope)
				if _, err := cu.live.NextMsg(10 * time.Second); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
