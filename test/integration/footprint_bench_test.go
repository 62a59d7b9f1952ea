package integration

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

// BenchmarkFootprint measures what the server keeps in memory for a conversation,
// whose record lies on disk, and for a live call's timer. One operation is one
// conversation. Run it with a fixed number of them, 100000x or more.
func BenchmarkFootprint(b *testing.B) {
	for name, message := range map[string]func(cid string) *nats.Msg{
		"conversation": func(cid string) *nats.Msg {
			return &nats.Msg{Subject: subjects.State(cid), Data: make([]byte, 600)}
		},
		"timer": func(cid string) *nats.Msg {
			m := nats.NewMsg(subjects.Timer(cid))
			m.Header.Set("Nats-Schedule", "@at "+time.Now().Add(time.Hour).Format(time.RFC3339))
			m.Header.Set("Nats-Schedule-Target", subjects.Timeout(cid))
			return m
		},
	} {
		b.Run(name, func(b *testing.B) {
			broker := brokertest.Start(b, brokertest.Options{})
			js := brokertest.JetStream(b, broker.Admin(b))
			before := heap()
			for n := range b.N {
				if _, err := js.PublishMsgAsync(message(fmt.Sprint("conversation-", n)), jetstream.WithStallWait(time.Minute)); err != nil {
					b.Fatal(err)
				}
			}
			select {
			case <-js.PublishAsyncComplete():
			case <-time.After(time.Minute):
				b.Fatal("not stored within a minute")
			}
			stored(b, js, uint64(b.N))
			b.ReportMetric(float64(heap()-before)/float64(b.N), "heap-B/"+name)
		})
	}
}

// heap is what is in use after everything else has been collected.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// stored fails unless the outbound stream has this many messages.
func stored(b *testing.B, js jetstream.JetStream, want uint64) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, subjects.StreamOut)
	if err != nil {
		b.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != want {
		b.Fatalf("%d messages stored, want %d", got, want)
	}
}
