package voice_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

func TestEndpointReceivesLive(t *testing.T) {
	r := newRelay(t)
	got := record(connect(t, r.options(customer)))
	for i := range 10 {
		call := fmt.Sprintf("c%d", i)
		start := message(signal.Start, customer, "cid", call)
		start.PeerInfo = "offer"
		seq := r.commit(start)
		m := got.next(t)
		if m.Seq != seq || m.CallID != call || m.PeerInfo != "offer" || m.Time.IsZero() {
			t.Fatalf("got seq %d call %q peer_info %q at %v, want seq %d call %q", m.Seq, m.CallID, m.PeerInfo, m.Time, seq, call)
		}
		r.commit(message(signal.Stop, customer, "cid", call))
		got.want(t, "stop "+call)
	}
}

func TestColdStartTakesUpWhatIsCurrent(t *testing.T) {
	r := newRelay(t)
	r.commit(message(signal.Setup, customer, "cid", ""))
	for i := range 7 { // more than a page, calls that have ended
		call := fmt.Sprintf("old%d", i)
		r.commit(message(signal.Start, customer, "cid", call))
		r.commit(message(signal.Stop, customer, "cid", call))
	}
	r.commit(message(signal.Start, customer, "cid", "now"))
	r.commit(message(signal.Candidate, customer, "cid", "now"))
	got := record(connect(t, r.options(customer)))
	got.want(t, "setup ", "start now", "candidate now")
	r.commit(message(signal.Stop, customer, "cid", "now"))
	got.want(t, "stop now")
}

func TestNothingIsMissedWhileCutOff(t *testing.T) {
	r := newRelay(t)
	var line cable
	options := r.options(customer)
	options.NATSOptions = append(options.NATSOptions, dialer(&line))
	_, got := r.listening(options)
	r.commit(message(signal.Start, customer, "cid", "c0"))
	got.want(t, "start c0")

	line.set(true)
	var want []string
	for i := range 10 {
		call := fmt.Sprintf("c%d", i)
		r.commit(message(signal.Stop, customer, "cid", call))
		r.commit(message(signal.Start, customer, "cid", fmt.Sprintf("c%d", i+1)))
		want = append(want, "stop "+call, fmt.Sprintf("start c%d", i+1))
	}
	line.set(false)
	got.want(t, want...)
	r.commit(message(signal.Stop, customer, "cid", "c10"))
	got.want(t, "stop c10")
}

func TestPeriodicSyncFindsWhatCameNotLive(t *testing.T) {
	r := newRelay(t)
	options := r.options(customer)
	options.SyncEvery = 50 * time.Millisecond
	client := connect(t, options)
	got := record(client)
	r.commit(message(signal.Start, customer, "cid", "c1"))
	got.want(t, "start c1")
	// A message that only the sync service knows of: the live one was lost.
	r.mu.Lock()
	last := r.log[len(r.log)-1]
	m := message(signal.Accept, customer, "cid", "c1")
	claims, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	last.Seq, last.Type, last.Payload = last.Seq+1, string(m.Type), r.broker.Get(t, proxy).Key.Sign(claims)
	r.log = append(r.log, last)
	r.mu.Unlock()
	got.want(t, "accept c1")
}

func TestLiveGoesOnWithoutSync(t *testing.T) {
	r := newRelay(t)
	r.setDeaf(true)
	options := r.options(customer)
	options.HoldFor = 50 * time.Millisecond
	client := connect(t, options) // though nobody answers
	<-r.asked
	got := record(client)
	<-r.asked // the subscription stands
	r.commit(message(signal.Start, customer, "cid", "c1"))
	r.commit(message(signal.Stop, customer, "cid", "c1"))
	got.want(t, "start c1", "stop c1")
	r.setDeaf(false)
	r.commit(message(signal.Start, customer, "cid", "c2"))
	got.want(t, "start c2")
}

func TestOwnPartysStopIsNotHandedOver(t *testing.T) {
	r := newRelay(t)
	elsewhere := message(signal.Stop, customer, "cid", "c1")
	elsewhere.Reason, elsewhere.Data = signal.AnsweredElsewhere, []byte(`{"party":"phone"}`)

	winner, loser := r.options(customer), r.options(customer)
	winner.Party, loser.Party = "phone", "tablet"
	_, won := r.listening(winner)
	_, lost := r.listening(loser)
	won.want(t, "setup ")  // the loser's
	lost.want(t, "setup ") // its own: the first was the winner's
	r.commit(message(signal.Start, customer, "cid", "c1"))
	r.commit(elsewhere)
	r.commit(message(signal.Update, customer, "cid", "c1"))
	won.want(t, "start c1", "update c1")
	lost.want(t, "start c1", "stop c1", "update c1")
}

func TestForgedMessagesAreRefused(t *testing.T) {
	r := newRelay(t)
	trusted := r.broker.Get(t, proxy).Record.Keys
	options := r.options(customer)
	options.Trusted = trust(proxy, trusted)
	got := record(connect(t, options))
	forger := r.broker.Get(t, operator).Key
	r.commitSigned(message(signal.Start, customer, "cid", "forged"), forger)
	r.commit(message(signal.Start, customer, "cid", "c1"))
	got.want(t, "start c1")

	believing := record(connect(t, r.options(customer)))
	believing.want(t, "start forged", "start c1")
}

func TestRepeatedMessageIsHandedOverOnce(t *testing.T) {
	r := newRelay(t)
	_, got := r.listening(r.options(customer))
	m := message(signal.Start, customer, "cid", "c1")
	r.commit(m)
	r.commit(m)
	r.commit(message(signal.Stop, customer, "cid", "c1"))
	got.want(t, "start c1", "stop c1")
}

func TestHandlersOfAllTypes(t *testing.T) {
	r := newRelay(t)
	v := connect(t, r.options(customer)).Voice()
	calls := make(chan string, 10)
	said := func(typ string) func(iss, cid, callID string) {
		return func(iss, cid, callID string) { calls <- fmt.Sprint(typ, iss, cid, callID) }
	}
	whole := func(typ string) func(iss, cid, callID, peerInfo string, data interface{}) {
		return func(iss, cid, callID, peerInfo string, data interface{}) {
			calls <- fmt.Sprint(typ, iss, cid, callID, peerInfo, data)
		}
	}
	v.OnSetup(func(iss, cid string, data interface{}) { calls <- fmt.Sprint("setup", iss, cid, data) })
	v.OnStart(whole("start"))
	v.OnRinging(said("ringing"))
	v.OnAccept(whole("accept"))
	v.OnBusy(said("busy"))
	v.OnStop(said("stop"))
	v.OnCandidate(func(iss, cid, callID, candidate string) {
		calls <- fmt.Sprint("candidate", iss, cid, callID, candidate)
	})
	v.OnUpdate(whole("update"))
	v.OnSummary(said("summary"))
	v.OnError(func(iss, cid, callID string, fault signal.Fault) {
		calls <- fmt.Sprint("error", iss, cid, callID, fault)
	})
	for _, typ := range signal.Types() {
		m := message(typ, customer, "cid", "c1")
		want := string(typ) + "proxycidc1"
		switch typ {
		case signal.Setup:
			m.CallID, m.Data = "", []byte(`{"name":"Ann"}`)
			want = "setupproxycidmap[name:Ann]"
		case signal.Error:
			m.Data = []byte(`{"code":"too_early","detail":"d","ref":"j"}`)
			want = "errorproxycidc1{too_early d j}"
		case signal.Candidate:
			m.PeerInfo = "p"
			want += "p"
		case signal.Start, signal.Accept, signal.Update:
			m.PeerInfo, m.Data = "p", []byte(`{"media":"audio"}`)
			want += "pmap[media:audio]"
		default:
		}
		r.commit(m)
		select {
		case got := <-calls:
			if got != want {
				t.Errorf("%s: got %q, want %q", typ, got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: no handler called", typ)
		}
	}
}

func TestLateHandlerStillGetsItsMessage(t *testing.T) {
	r := newRelay(t)
	r.commit(message(signal.Start, customer, "cid", "c1"))
	r.commit(message(signal.Accept, customer, "cid", "c1"))
	v := connect(t, r.options(customer)).Voice()
	started, accepted := make(chan struct{}), make(chan struct{})
	v.OnStart(func(string, string, string, string, interface{}) { close(started) })
	<-started
	v.OnAccept(func(string, string, string, string, interface{}) { close(accepted) })
	select {
	case <-accepted:
	case <-time.After(5 * time.Second):
		t.Fatal("the message that came before its handler was registered is lost")
	}
}

func TestNewIDsDiffer(t *testing.T) {
	if a, b := voice.NewID(), voice.NewID(); a == b || len(a) < 20 {
		t.Errorf("got ids %q and %q, want two long ones", a, b)
	}
}
