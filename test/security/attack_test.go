package security

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// attack is one thing that somebody tries who should not succeed.
type attack struct {
	id   string // S01: letter of the group, number
	what string // one line, for the table
	as   string // who tries; default mallory
	do   func(a *arena, x *peer)
	want outcome
	// others are subjects of inbound and inbox messages that belong to the attack
	// besides the attacker's own.
	others []string
	// insider is the identity in whose name the administrator stores the attack.
	insider string
	// revokes: the directory changes.
	revokes bool
	// routes: a route is added.
	routes bool
	// talk: the victims go on talking during the attack.
	talk bool
}

// outcome is who stops an attack, and what is seen of it. The check fails if
// anything else was seen.
type outcome struct {
	by    string // broker, worker, SDK
	seen  string // for the table
	check func(a *arena, x *peer)
	// stored says that messages of the attacker are stored: by the sender itself,
	// or as refused.
	stored bool
}

// Who stops it.
const (
	byBroker = "broker"
	byWorker = "worker"
)

// play runs attacks one after another in one arena.
func play(t *testing.T, a *arena, attacks []attack) {
	t.Helper()
	for _, k := range attacks {
		t.Run(k.id, func(t *testing.T) {
			outer := a.t
			a.t = t
			defer func() { a.t = outer }()
			a.try(k)
		})
	}
}

// try plays one attack: it is stopped as its outcome says, and nothing is left
// of it.
func (a *arena) try(k attack) {
	a.t.Helper()
	if k.as == "" {
		k.as = mallory
	}
	a.overheard() // what came before
	before := a.snapshot()
	x := a.intruder(k.as)
	defer x.nc.Close()
	if k.do != nil {
		k.do(a, x)
	}
	k.want.check(a, x)
	a.unharmed(before, k)
}

// intruder connects whoever attacks.
func (a *arena) intruder(as string) *peer {
	a.t.Helper()
	if _, ok := a.Identities[identity.MustID(as)]; ok {
		return a.peer(as)
	}
	p := &peer{a: a, errs: make(chan error, 256)}
	switch as {
	case "backend":
		p.nc = a.Backend(a.t, report(p.errs))
	case "router":
		p.nc = a.Router(a.t, report(p.errs))
	default:
		a.t.Fatalf("who is %s?", as)
	}
	return p
}

// snapshot is what no attack may change.
type snapshot struct {
	seqs   map[string]uint64 // last sequences
	record []byte
}

func (a *arena) snapshot() snapshot {
	a.t.Helper()
	return snapshot{a.sequences(), a.record()}
}

func (a *arena) sequences() map[string]uint64 {
	a.t.Helper()
	seqs := map[string]uint64{}
	for _, name := range []string{
		subjects.StreamIn, subjects.StreamOut, subjects.KV(subjects.BucketRoutes), subjects.KV(subjects.BucketIdentities),
	} {
		s, err := a.js.Stream(a.t.Context(), name)
		if err != nil {
			a.t.Fatal(err)
		}
		seqs[name] = s.CachedInfo().State.LastSeq
	}
	return seqs
}

// record returns the victims' record without what honest messages change in it.
func (a *arena) record() []byte {
	a.t.Helper()
	s := a.state(victims)
	s.Applied, s.Last = nil, call.Last{}
	data, err := s.Encode()
	if err != nil {
		a.t.Fatal(err)
	}
	return data
}

// secret is in what an attacker writes; nobody may see it.
const secret = "WRITTEN-BY-AN-ATTACKER"

// unharmed checks that nothing is stored beyond what the outcome says, that the
// next thing that the victims hear is what they say to each other, and that
// their record is what it was.
func (a *arena) unharmed(before snapshot, k attack) {
	a.t.Helper()
	for name, seq := range a.sequences() {
		open := k.want.stored && (name == subjects.StreamIn || name == subjects.StreamOut)
		open = open || k.revokes && name == subjects.KV(subjects.BucketIdentities) || k.routes && name == subjects.KV(subjects.BucketRoutes)
		if seq != before.seqs[name] && !open {
			a.t.Errorf("stream %s: sequence %d, want %d as before", name, seq, before.seqs[name])
		}
	}
	for _, h := range a.overheard() {
		if !k.harmless(h) {
			a.t.Errorf("seen on %s: %.200q", h.subject, h.data)
		}
	}
	a.honest()
	if got := a.record(); !bytes.Equal(got, before.record) {
		a.t.Errorf("the victims' record is %s, want %s", got, before.record)
	}
	for _, p := range []*peer{a.op, a.cu} {
		p.undisturbed()
	}
}

// harmless reports whether a message in the account of the routers is one that
// the attack may cause: the attacker's own inbound and inbox, what is refused of
// it, its own conversation, and the talk of workers and administrator with
// JetStream, as long as it does not carry the attacker's bytes.
func (k attack) harmless(h heard) bool {
	kind, rest, _ := strings.Cut(h.subject, ".")
	parts := strings.Split(h.subject, ".")
	if k.talk && (strings.HasSuffix(h.subject, ".update") || h.subject == subjects.State(victims) || h.subject == subjects.Sync(operator)) {
		return true
	}
	if last := parts[len(parts)-1]; k.insider != "" && (kind == "rejected" && last == k.insider || kind == "voice" && len(parts) == 3 && parts[1] == k.insider) {
		return true
	}
	if kind == "voice" && len(parts) == 3 && parts[1] == k.as {
		return true // whether it is stored, the sequence of the stream tells
	}
	switch kind {
	case "$KV":
		return k.revokes || k.routes
	case "voice", "live", "sync":
		return k.want.stored && (strings.HasPrefix(rest, k.as+".") || strings.HasPrefix(rest, "voice."+k.as+".") ||
			rest == k.as || slices.Contains(k.others, strings.TrimPrefix(h.subject, "live.")))
	case "rejected":
		return k.want.stored && parts[len(parts)-1] == k.as
	case "call":
		if asserted := h.subject == subjects.Check(victims) && h.data == ""; asserted && k.want.stored {
			return true // that a refusal was decided on the current record; empty, gone after a second
		}
		return k.want.stored && (parts[1] == own || parts[1] == k.id || strings.Contains(parts[1], "~"))
	case "$JS", "_INBOX_admin", "_INBOX_router", "_R_":
		return !strings.HasPrefix(h.data, secret)
	case "$SRV": // a worker that starts asks the others for their priorities
		return h.subject == subjects.RequestServiceInfo(subjects.ServiceRouter) && h.data == ""
	case "router": // the callout service asks for the calls of who is revoked
		return strings.HasPrefix(h.data, `{"identity":`) || h.subject == subjects.ServiceCallVerify
	case "_INBOX":
		return strings.HasPrefix(h.data, `{"cid":"`+k.id) // what the backend is answered
	default:
		return false
	}
}

// honest lets each of the victims say something; it must be the next thing that
// the other hears.
func (a *arena) honest() {
	a.t.Helper()
	for _, pair := range [][2]*peer{{a.op, a.cu}, {a.cu, a.op}} {
		word := fmt.Sprint("honest word ", a.sent.Add(1))
		pair[0].say(signal.Update, victims, current, func(m *signal.Message) { m.PeerInfo = word })
		if m := pair[1].expect(signal.Update, current); m.PeerInfo != word {
			a.t.Errorf("%s: heard %.100q, want %q", pair[1].id.ID, m.PeerInfo, word)
		}
	}
}

// undisturbed checks that nothing came to the reply subjects of this peer but the
// answers of the broker to itself.
func (p *peer) undisturbed() {
	p.a.t.Helper()
	if err := p.nc.Flush(); err != nil {
		p.a.t.Fatal(err)
	}
	for {
		n, _, err := p.inbox.Pending()
		if err != nil || n == 0 {
			return
		}
		m, err := p.inbox.NextMsg(patience)
		if err != nil {
			p.a.t.Fatal(err)
		}
		if data := string(m.Data); !strings.HasPrefix(data, `{"stream":"VOICE_IN"`) && !strings.HasPrefix(data, `{"messages":`) {
			p.a.t.Errorf("%s: on %s came %.200q", p.id.ID, m.Subject, m.Data)
		}
	}
}
