package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// sdp is about as long as the offer of a browser for one audio track.
var sdp = strings.Repeat("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n", 24)

// flow is the mix of messages that one call makes.
var flow = []struct {
	typ    signal.Type
	caller bool
	info   string
}{
	{signal.Start, true, sdp},
	{signal.Ringing, false, ""},
	{signal.Accept, false, sdp},
	{signal.Candidate, true, sdp[:160]},
	{signal.Candidate, false, sdp[:160]},
	{signal.Candidate, true, sdp[:160]},
	{signal.Candidate, false, sdp[:160]},
	{signal.Stop, true, ""},
}

// BenchmarkRelay measures how fast one worker drains a backlog of signed
// messages of whole calls: fetch, verify, decide, sign, commit, ack. One
// operation is one message.
func BenchmarkRelay(b *testing.B) {
	for _, storage := range []provision.Storage{provision.Memory, provision.File} {
		b.Run("storage="+string(storage), func(b *testing.B) { benchmarkRelay(b, storage) })
	}
}

func benchmarkRelay(b *testing.B, storage provision.Storage) {
	b.Helper()
	const pairs = 100
	opts := brokertest.Options{Apps: []string{proxy}, Provision: provision.Options{Storage: storage}}
	for i := range pairs {
		opts.Users = append(opts.Users, fmt.Sprint("op", i), fmt.Sprint("cu", i))
	}
	broker := brokertest.Start(b, opts)
	nc := broker.Admin(b)
	js := brokertest.JetStream(b, nc)
	r, err := router.New(router.Options{
		Conn:    broker.Router(b),
		Proxies: map[identity.ID]identity.PrivateKey{identity.MustID(proxy): broker.Get(b, proxy).Key},
		Logger:  testLogger(b),
		Limits:  router.Limits{Messages: -1, Starts: -1},
	})
	if err != nil {
		b.Fatal(err)
	}

	calls := (b.N + len(flow) - 1) / len(flow)
	for i := range calls {
		backlog(b, broker, js, i, fmt.Sprint("op", i%pairs), fmt.Sprint("cu", i%pairs))
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		b.Fatal("backlog not stored")
	}
	b.ResetTimer()
	start := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	drained(b, js)
	b.StopTimer()
	b.ReportMetric(float64(calls*len(flow))/time.Since(start).Seconds(), "msg/s")
	reportStored(b, js, calls)
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// backlog stores the messages of one call.
func backlog(b *testing.B, broker *brokertest.Broker, js jetstream.JetStream, n int, op, cu string) {
	b.Helper()
	cid := fmt.Sprint("c", n)
	route, err := call.Route{Proxy: identity.MustID(proxy), Operator: identity.MustID(op), Customer: identity.MustID(cu)}.Encode()
	if err == nil {
		_, err = js.PublishAsync(subjects.KVKey(subjects.BucketRoutes, cid), route)
	}
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for i, step := range flow {
		from := op
		if !step.caller {
			from = cu
		}
		payload, err := signal.Message{
			Type: step.typ, JTI: fmt.Sprint(n, ".", i), Issuer: identity.MustID(from), Recipient: identity.MustID(proxy),
			IssuedAt: now, ExpiresAt: now.Add(time.Hour), CID: cid, CallID: "k", PeerInfo: step.info,
		}.Encode()
		if err != nil {
			b.Fatal(err)
		}
		_, err = js.PublishMsgAsync(&nats.Msg{
			Subject: subjects.Voice(from, string(step.typ)), Data: broker.Get(b, from).Key.Sign(payload),
		}, jetstream.WithStallWait(time.Minute))
		if err != nil {
			b.Fatal(err)
		}
	}
}

// drained waits until the inbound stream is empty.
func drained(b *testing.B, js jetstream.JetStream) {
	b.Helper()
	stream, err := js.Stream(b.Context(), subjects.StreamIn)
	if err != nil {
		b.Fatal(err)
	}
	eventually(b, "inbound stream drained", func() bool {
		info, err := stream.Info(b.Context())
		return err == nil && info.State.Msgs == 0
	})
}

// reportStored says what one call leaves in the outbound stream.
func reportStored(b *testing.B, js jetstream.JetStream, calls int) {
	b.Helper()
	stream, err := js.Stream(b.Context(), subjects.StreamOut)
	if err != nil {
		b.Fatal(err)
	}
	state := stream.CachedInfo().State
	b.ReportMetric(float64(state.Bytes)/float64(calls), "stored-B/call")
	b.ReportMetric(float64(state.Msgs)/float64(calls), "stored-msgs/call")
}
