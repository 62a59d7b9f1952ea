package workload

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/test/chaos/history"
	"github.com/voicerouter/voicerouter/voice"
)

// twin is a client of an identity without the SDK. It publishes without a message
// id, so that the broker stores every copy of a message, as it does when its own
// memory of message ids is gone: only the routers know then that it is one.
type twin struct {
	nc  *nats.Conn
	key identity.PrivateKey
}

// newTwin connects as the identity of o.
func newTwin(o voice.Options) (*twin, error) {
	options := append([]nats.Option{
		nats.Name(o.SelfID), nats.CustomInboxPrefix(subjects.InboxPrefix(o.SelfID)), nats.MaxReconnects(-1),
	}, o.NATSOptions...)
	if len(o.NKeySeed) > 0 {
		pair, err := nkeys.FromSeed(o.NKeySeed)
		if err != nil {
			return nil, err
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, err
		}
		options = append(options, nats.Nkey(public, pair.Sign))
	}
	nc, err := nats.Connect(o.URL, options...)
	if err != nil {
		return nil, err
	}
	return &twin{nc, o.SigningKey}, nil
}

// again publishes a message that has been sent before once more, and records it.
// That it cannot is no fault: it was sent before.
func (s *seat) again(ctx context.Context, m signal.Message, mode call.Mode) {
	p := s.process()
	t := s.w.twinOf(s.self)
	if p == nil || t == nil {
		return
	}
	m.Issuer, m.Party = identity.MustID(s.self), s.party
	claims, err := m.Encode()
	if err != nil {
		return
	}
	// One attempt, as the SDK makes it: a server that dies never answers.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	done := p.record(m, mode)
	reply, err := t.nc.RequestWithContext(ctx, subjects.Voice(s.self, string(m.Type)), t.key.Sign(claims))
	if err != nil {
		done(history.Outcome{Error: err.Error()})
		return
	}
	var ack struct {
		Stream string `json:"stream"`
		Seq    uint64 `json:"seq"`
	}
	if json.Unmarshal(reply.Data, &ack) != nil || ack.Stream != subjects.StreamIn {
		done(history.Outcome{Result: history.Refused, Error: fmt.Sprintf("answer %.80q", reply.Data)})
		return
	}
	done(history.Outcome{Result: history.Acked, Seq: ack.Seq})
}

// twinOf returns the twin of an identity, nil if it cannot connect.
func (w *Workload) twinOf(self string) *twin {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.twins[self]; t != nil {
		return t
	}
	o := w.opts.Connect(self)
	o.SelfID = self
	t, err := newTwin(o)
	if err != nil {
		w.opts.Logger.Warn("a twin cannot connect", "self", self, "err", err)
		return nil
	}
	w.twins[self] = t
	return t
}
