package demo

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

//go:embed offer.sdp
var offerSDP string

//go:embed answer.sdp
var answerSDP string

var (
	offer  = strings.ReplaceAll(offerSDP, "\n", "\r\n")
	answer = strings.ReplaceAll(answerSDP, "\n", "\r\n")
	// candidate is what a browser trickles (RFC 8839).
	candidate = "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0"
)

// device is a person's phone: an SDK client that collects what it hears.
type device struct {
	client *voice.Client
	voice  *voice.Voice
	heard  chan voice.Message
	knows  []signal.Type
}

// device connects an identity. A device that knows only some types ignores the
// others, as an old client would.
func (s *stage) device(ctx context.Context, id identity.ID, party string, knows ...signal.Type) (*device, error) {
	m := s.cast[id]
	client, err := voice.Connect(ctx, voice.Options{
		URL: s.server.URL(), SelfID: id.String(), SigningKey: m.key, NKeySeed: m.seed, Party: party, Logger: s.log,
		Trusted: func(iss identity.ID) []identity.PublicKey { return s.cast[iss].record.Keys },
	})
	if err != nil {
		return nil, err
	}
	d := &device{client: client, voice: client.Voice(), heard: make(chan voice.Message, 256), knows: knows}
	d.voice.OnMessage(func(_ context.Context, m voice.Message) error {
		if d.understands(m.Type) {
			d.heard <- m
		}
		return nil
	})
	return d, nil
}

func (d *device) understands(t signal.Type) bool {
	return len(d.knows) == 0 || slices.Contains(d.knows, t)
}

func (d *device) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_ = d.client.Close(ctx)
}

// expect returns the next message on a conversation, which must be of this type
// and, if callID is not empty, of this call.
func (d *device) expect(ctx context.Context, cid string, typ signal.Type, callID string) (voice.Message, error) {
	for {
		select {
		case m := <-d.heard:
			if m.CID != cid {
				continue // the end of an earlier scene
			}
			if m.Type != typ || callID != "" && m.CallID != callID {
				return m, fmt.Errorf("%s heard %s %s %s, want %s %s", d.client.Self(), m.Type, m.CallID, m.Reason, typ, callID)
			}
			return m, nil
		case <-ctx.Done():
			return voice.Message{}, fmt.Errorf("%s waited in vain for %s %s: %w", d.client.Self(), typ, callID, ctx.Err())
		}
	}
}

// expectStop is expect for a stop with this reason.
func (d *device) expectStop(ctx context.Context, cid, callID string, reason signal.Reason) error {
	m, err := d.expect(ctx, cid, signal.Stop, callID)
	if err == nil && m.Reason != reason {
		err = fmt.Errorf("%s heard stop %s, want %s", d.client.Self(), m.Reason, reason)
	}
	return err
}

// silent reports what else a device heard on a conversation.
func (d *device) silent(cid string) error {
	for {
		select {
		case m := <-d.heard:
			if m.CID == cid {
				return fmt.Errorf("%s heard %s %s %s besides", d.client.Self(), m.Type, m.CallID, m.Reason)
			}
		default:
			return nil
		}
	}
}

// steps runs functions until one fails.
func steps(all ...func() error) error {
	for i, step := range all {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}
