package router

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// lifetime is how long the messages that the fleet signs are valid: as long as
// the most patient upstream client makes its own, so that somebody who was cut
// off for hours still accepts the stop that waited.
const lifetime = 5 * time.Hour

// Headers of the JetStream scheduler (nats-server, scheduled messages).
const (
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
	headerScheduler      = "Nats-Scheduler"
	headerScheduleNext   = "Nats-Schedule-Next"
	schedulePurge        = "purge"
	scheduleAt           = "@at "
)

// HeaderDetail is the header of a message under rejected.> that says in words
// what its subject says in a code.
const HeaderDetail = "Voice-Detail"

// How long a refused message is kept, and a record of a direct conversation after
// its last message. The latter needs no route: whoever may write to an app can make
// as many as he likes, each at the cost of a subject, and all that one is good for
// is over in minutes (call.KeepPast).
const (
	rejectedTTL = "1h"
	directTTL   = "1h"
	checkTTL    = "1s" // the least; an assertion has done its work when it is stored
)

// pending is a message of a batch; sign is set while its content waits for a
// signature, which is the expensive part and done in parallel.
type pending struct {
	msg  *nats.Msg
	sign *signing
}

type signing struct {
	from identity.ID
	m    signal.Message
}

// outbound turns decisions into the messages of a batch.
type outbound struct {
	opts    *Options
	rejects *rejectLimiter
	tracer  *tracer
	// fail, if set, makes a job impossible to write; for tests.
	fail func(*job) error
}

// write fills in the batch of every group from the decisions of its jobs: per
// job the record, what is said, and the rejection; per group at most one timer.
func (o outbound) write(groups []*group) error {
	var unsigned []*pending
	for _, g := range groups {
		if err := o.writeGroup(g); err != nil {
			return err
		}
		for i := range g.batch {
			if g.batch[i].sign != nil {
				unsigned = append(unsigned, &g.batch[i])
			}
		}
	}
	errs := make([]error, len(unsigned))
	parallel(len(unsigned), 8, func(i int) {
		p := unsigned[i]
		errs[i] = guard(func() (err error) {
			p.msg.Data, err = o.seal(p.sign.from, p.sign.m)
			return err
		})
	})
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("router: encode %s: %w", unsigned[i].sign.m.Type, err)
		}
	}
	return nil
}

func (o outbound) writeGroup(g *group) error {
	g.batch = g.batch[:0]
	var timer call.Timer
	first := true
	for _, j := range g.jobs {
		d := &j.decision
		if o.fail != nil {
			if err := o.fail(j); err != nil {
				return err
			}
		}
		if d.Next != nil {
			data, err := d.Next.Encode()
			if err != nil {
				return fmt.Errorf("router: encode record %s: %w", g.key, err)
			}
			msg := &nats.Msg{Subject: subjects.State(g.key), Data: data, Header: nats.Header{}}
			if first {
				// Only the first write of a subject in a batch may be conditional;
				// those behind it stand or fall with it.
				msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(g.baseSeq, 10))
				first = false
			}
			if d.Next.Mode == call.Direct {
				msg.Header.Set(jetstream.MsgTTLHeader, directTTL)
			}
			g.nextAt = len(g.batch)
			g.batch = append(g.batch, pending{msg: msg})
		}
		for i, say := range d.Say {
			g.batch = append(g.batch, o.say(j, i, say))
		}
		if p, ok := o.rejection(j); ok {
			g.batch = append(g.batch, p)
		}
		if d.Timer.Op != call.TimerKeep {
			timer = d.Timer
		}
	}
	if g.unsettled() {
		g.batch = append(g.batch, pending{msg: assertion(g)})
	}
	return o.timer(g, timer)
}

// assertion is a message that is stored, with its batch, only if the record is
// still the one that the group was decided on. To read the record from the leader
// of the stream would not do: a server that leads no more and does not know it
// yet, or that has only begun to lead, answers with an old one; but it can store
// nothing.
func assertion(g *group) *nats.Msg {
	return &nats.Msg{Subject: subjects.Check(g.key), Header: nats.Header{
		jetstream.ExpectedLastSubjSeqHeader:     {strconv.FormatUint(g.baseSeq, 10)},
		jetstream.ExpectedLastSubjSeqSubjHeader: {subjects.State(g.key)},
		jetstream.MsgTTLHeader:                  {checkTTL},
	}}
}

// timer adds the group's one operation on its timer. Two schedules for one
// subject in a batch are refused, so the last decision's counts.
func (o outbound) timer(g *group, t call.Timer) error {
	switch t.Op {
	case call.TimerSet:
		msg, err := timerMessage(g.key, t)
		if err != nil {
			return err
		}
		g.batch = append(g.batch, pending{msg: msg})
	case call.TimerCancel:
		h := g.batch[g.nextAt].msg.Header
		h.Set(headerScheduler, subjects.Timer(g.key))
		h.Set(headerScheduleNext, schedulePurge)
	case call.TimerKeep:
	}
	return nil
}

func timerMessage(key string, t call.Timer) (*nats.Msg, error) {
	data, err := json.Marshal(fired{Version: call.Version, CallID: t.CallID, Epoch: t.Epoch})
	if err != nil {
		return nil, fmt.Errorf("router: encode timer of %s: %w", key, err)
	}
	return &nats.Msg{
		Subject: subjects.Timer(key),
		Data:    data,
		Header: nats.Header{
			headerSchedule:       {scheduleAt + t.At.UTC().Format(time.RFC3339Nano)},
			headerScheduleTarget: {subjects.Timeout(key)},
		},
	}, nil
}

// say returns the inbox message for one thing said.
func (o outbound) say(j *job, index int, s call.Say) pending {
	msg := nats.NewMsg(subjects.Inbox(s.To.String(), string(s.Type)))
	o.tracer.inject(msg.Header, j, s)
	if s.Forward {
		msg.Data = j.raw
		return pending{msg: msg}
	}
	from := j.signer
	if j.event.Kind != call.Message && j.decision.Next != nil {
		from = j.decision.Next.Proxy
	}
	now := o.opts.Now().UTC()
	return pending{msg: msg, sign: &signing{from: from, m: signal.Message{
		Type: s.Type, JTI: derivedJTI(j, index),
		Issuer: from, Recipient: s.To,
		IssuedAt: now, ExpiresAt: now.Add(lifetime),
		CID: j.cid(), CallID: s.CallID,
		PeerInfo: s.PeerInfo, Data: s.Data, Reason: s.Reason,
	}}}
}

// seal encodes and signs a message in the name of from.
func (o outbound) seal(from identity.ID, m signal.Message) ([]byte, error) {
	buffer := payloads.Get().(*[]byte)
	defer payloads.Put(buffer)
	payload, err := m.AppendEncode((*buffer)[:0])
	if err != nil {
		return nil, err
	}
	*buffer = payload
	if o.opts.Unsigned {
		return identity.Unsigned(payload), nil
	}
	key, ok := o.opts.Proxies[from]
	if !ok {
		key = o.opts.RouterKey
	}
	return key.Sign(payload), nil
}

// payloads holds buffers for messages that are about to be signed.
var payloads = sync.Pool{New: func() any { return new([]byte) }}

// rejection returns the message that keeps what was refused, unless enough of
// this sender is kept already.
func (o outbound) rejection(j *job) (pending, bool) {
	if j.decision.Code == "" || j.event.Kind != call.Message || !o.rejects.allow(j.subjectSelf) {
		return pending{}, false
	}
	detail := string(j.decision.Code)
	if j.refusal != nil {
		detail = j.refusal.Detail
	}
	return pending{msg: &nats.Msg{
		Subject: subjects.Rejected(string(j.decision.Code), j.subjectSelf),
		Data:    j.raw,
		Header:  nats.Header{jetstream.MsgTTLHeader: {rejectedTTL}, HeaderDetail: {detail}},
	}}, true
}

func (j *job) cid() string {
	if j.event.Kind == call.Message {
		return j.event.Msg.CID
	}
	return j.key
}

// derivedJTI returns the jti of the index-th message that an event makes the
// router say. It depends on nothing but the event, so that what is said twice is
// recognised as one; it names neither sender nor stream, so that it tells the
// receiver nothing.
func derivedJTI(j *job, index int) string {
	var buffer [256]byte
	text := buffer[:0]
	switch e := &j.event; e.Kind {
	case call.Message:
		text = number(number(part(text, "message"), e.Seq), e.At.UnixNano())
	case call.Timeout:
		text = number(part(part(part(text, "timeout"), j.key), e.CallID), e.Epoch)
	default:
		text = number(part(part(part(text, "end"), j.key), e.CallID), e.Epoch)
	}
	return jti(number(text, index))
}

// jti hashes parts, each with a zero byte behind it: no part contains one.
func jti(text []byte) string {
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func part(text []byte, s string) []byte { return append(append(text, s...), 0) }

func number[T int | int64 | uint64](text []byte, n T) []byte {
	if n < 0 {
		return append(strconv.AppendInt(text, int64(n), 10), 0)
	}
	return append(strconv.AppendUint(text, uint64(n), 10), 0)
}
