package workload

import (
	"context"
	"crypto/sha256"
	"encoding/base64"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

// relay is the proxy written by hand of examples/proxy: what one side says goes to
// the other. It adds what a proxy needs that may be killed half way: the jti of
// what it says is made of the one that it heard, so that it may say it again.
func (p *process) relay(ctx context.Context, m voice.Message) error {
	c, ok := p.w.relayed(m.CID)
	if !ok {
		return nil // an error that answers nothing of ours
	}
	from, to := m.Issuer.String(), c.Customer
	if from == c.Customer {
		to = c.Operator
	}
	switch m.Type {
	case signal.Start, signal.Accept, signal.Busy, signal.Stop:
	default:
		return nil
	}
	out := signal.Message{Type: m.Type, JTI: derived(p.self, from, m.JTI), CID: m.CID, CallID: m.CallID, PeerInfo: m.PeerInfo}
	if m.Type == signal.Start {
		out.Data = []byte(`{"operator_name":"Bob"}`)
	}
	var err error
	if out.Recipient, err = identity.ParseID(to); err != nil {
		return err
	}
	return p.send(ctx, out, call.Direct)
}

// derived is the jti of what a relay says because of what it heard.
func derived(self, from, jti string) string {
	sum := sha256.Sum256([]byte(self + "\x00" + from + "\x00" + jti))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
