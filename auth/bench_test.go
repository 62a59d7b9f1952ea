package auth_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
)

// BenchmarkConnect opens and closes connections of identities, clients, server
// and services on the same cores.
func BenchmarkConnect(b *testing.B) {
	for name, opts := range map[string]brokertest.Options{
		"static":  {Memory: true, Users: []string{alice}},
		"callout": {Memory: true, Users: []string{alice}, Callout: true},
	} {
		b.Run(name, func(b *testing.B) {
			broker := brokertest.Start(b, opts)
			login := append(broker.Get(b, alice).Options(), nats.NoReconnect())
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					nc, err := broker.Connect(login...)
					if err != nil {
						b.Error(err)
						return
					}
					nc.Close()
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "connections/s")
		})
	}
}
