package integration

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestFlood: one identity sends as fast as the broker takes it, 50 others call.
// Every call of theirs completes, and their 99th percentile of the set-up time
// is at most three times what it is without the flood. Rounds with and without
// take turns, so that the noise of the machine hits both.
func TestFlood(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes some seconds, and measures them")
	}
	const pairs, rounds = 50, 5
	opts := brokertest.Options{}
	for i := range pairs {
		opts.Users = append(opts.Users, fmt.Sprint("op", i), fmt.Sprint("cu", i))
	}
	w := newWorld(t, opts)
	w.fleet(func(o *router.Options) { o.Limits = router.Limits{Starts: 600} })
	var callers, callees []*endpoint
	for i := range pairs {
		callers = append(callers, w.endpoint(fmt.Sprint("op", i)))
		callees = append(callees, w.endpoint(fmt.Sprint("cu", i)))
	}
	measure(w, callers, callees, "warm") // connections, caches
	var ratios []float64
	for round := range rounds {
		quiet := measure(w, callers, callees, fmt.Sprint("q", round))
		stop := flood(w, w.endpoint(stranger))
		flooded := measure(w, callers, callees, fmt.Sprint("f", round))
		n := stop()
		if n == 0 {
			t.Error("the flood was none")
		}
		ratios = append(ratios, float64(flooded)/float64(quiet))
		t.Logf("round %d: p99 of set-up %v, %v beside %d messages of one flooder: %.1f times", round, quiet, flooded, n, ratios[round])
	}
	slices.Sort(ratios)
	if median := ratios[rounds/2]; median > 3 {
		t.Errorf("p99 of set-up beside a flood is %.1f times what it is without, want at most 3", median)
	}
}

// measure lets every pair make some calls at once and returns the 99th
// percentile of the time from start to the caller's hearing the accept.
func measure(w *world, callers, callees []*endpoint, round string) time.Duration {
	w.t.Helper()
	const calls = 5
	for i := range callers {
		w.route(fmt.Sprint("c", i, "-", round), func(r *call.Route) {
			r.Operator, r.Customer = callers[i].id.ID, callees[i].id.ID
		})
	}
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			op, cu, cid := callers[i], callees[i], fmt.Sprint("c", i, "-", round)
			for n := range calls {
				callID := fmt.Sprint(round, n)
				begin := time.Now()
				op.say(signal.Start, cid, callID, func(m *signal.Message) { m.PeerInfo = sdp })
				cu.expect(signal.Start, callID)
				cu.say(signal.Accept, cid, callID, func(m *signal.Message) { m.PeerInfo = sdp })
				op.expect(signal.Accept, callID)
				mu.Lock()
				took = append(took, time.Since(begin))
				mu.Unlock()
				op.say(signal.Stop, cid, callID, nil)
				cu.expect(signal.Stop, callID)
			}
		})
	}
	wg.Wait()
	if len(took) != calls*len(callers) {
		w.t.Fatalf("round %s: %d calls completed, want %d", round, len(took), calls*len(callers))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// flood sends signed messages of one identity, 64 on their way at any time,
// until it is stopped; stop returns how many were answered by the broker.
func flood(w *world, e *endpoint) (stop func() int) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int)
	m := e.claims(signal.Candidate, "c0", "k")
	m.Recipient = identity.MustID(proxy)
	payload, err := m.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	envelope := e.id.Key.Sign(payload)
	inbox := e.nc.NewInbox()
	acks, err := e.nc.SubscribeSync(inbox)
	if err != nil {
		w.t.Fatal(err)
	}
	go func() {
		n, open := 0, 0
		defer func() { done <- n }()
		for ctx.Err() == nil {
			for ; open < 64; open++ {
				if err := e.nc.PublishMsg(&nats.Msg{Subject: subjects.Voice(e.id.ID.String(), "candidate"), Reply: inbox, Data: envelope}); err != nil {
					return
				}
			}
			if _, err := acks.NextMsgWithContext(ctx); err != nil {
				return
			}
			open--
			n++
		}
	}()
	return func() int {
		cancel()
		return <-done
	}
}
