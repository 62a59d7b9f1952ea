package voice

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// Voice sends the messages of calls and registers their handlers. It is safe for
// concurrent use.
//
// Every send takes the recipient first: the proxy of the conversation, or in
// direct mode the other end. data is anything that encodes to a JSON object, or
// nil. For the errors of sends see [Voice.Send].
type Voice struct {
	c *Client
	handlers
}

func newVoice(c *Client) *Voice {
	return &Voice{c: c, handlers: newHandlers()}
}

// Setup tells an operator that the conversation cid exists, and the name under
// which the customer appears there.
func (v *Voice) Setup(recipient, name, cid string) error {
	return v.send(signal.Setup, recipient, signal.Message{CID: cid}, map[string]string{"name": name})
}

// Start offers a call. peerInfo is a full offer, an SDP say; callID is new, see
// [NewID].
func (v *Voice) Start(recipient, cid, callID, peerInfo string, data interface{}) error {
	return v.send(signal.Start, recipient, signal.Message{CID: cid, CallID: callID, PeerInfo: peerInfo}, data)
}

// Ringing tells the caller that this device alerts its user.
func (v *Voice) Ringing(recipient, cid, callID string) error {
	return v.send(signal.Ringing, recipient, signal.Message{CID: cid, CallID: callID}, nil)
}

// Accept answers a call. peerInfo is the answer to the offer.
func (v *Voice) Accept(recipient, cid, callID, peerInfo string, data interface{}) error {
	return v.send(signal.Accept, recipient, signal.Message{CID: cid, CallID: callID, PeerInfo: peerInfo}, data)
}

// Busy refuses a call because this device or its user is engaged.
func (v *Voice) Busy(recipient, cid, callID string) error {
	return v.send(signal.Busy, recipient, signal.Message{CID: cid, CallID: callID}, nil)
}

// Stop ends a call: it hangs up, cancels or declines, as the call stands.
func (v *Voice) Stop(recipient, cid, callID string) error {
	return v.StopWithReason(recipient, cid, callID, "")
}

// StopWithReason is Stop with a reason of the sender's own. Reasons outside of
// [signal.Reasons] are not passed on.
func (v *Voice) StopWithReason(recipient, cid, callID string, reason signal.Reason) error {
	return v.send(signal.Stop, recipient, signal.Message{CID: cid, CallID: callID, Reason: reason}, nil)
}

// Candidate sends one trickled ICE candidate (RFC 8838).
func (v *Voice) Candidate(recipient, cid, callID, candidate string) error {
	return v.send(signal.Candidate, recipient, signal.Message{CID: cid, CallID: callID, PeerInfo: candidate}, nil)
}

// Update renegotiates an active call: hold, mute, a new offer.
func (v *Voice) Update(recipient, cid, callID, peerInfo string, data interface{}) error {
	return v.send(signal.Update, recipient, signal.Message{CID: cid, CallID: callID, PeerInfo: peerInfo}, data)
}

// Summary reports about a call that has ended. One with data goes through
// [Voice.Send].
func (v *Voice) Summary(recipient, cid, callID string) error {
	return v.send(signal.Summary, recipient, signal.Message{CID: cid, CallID: callID}, nil)
}

func (v *Voice) send(typ signal.Type, recipient string, m signal.Message, data interface{}) error {
	to, err := identity.ParseID(recipient)
	if err != nil {
		return &signal.Refusal{Code: signal.CodeBadClaims, Detail: fmt.Sprintf("recipient: %v", err)}
	}
	if m.Data, err = object(data); err != nil {
		return err
	}
	m.Type, m.Recipient = typ, to
	return v.Send(context.Background(), m)
}

// Send signs m, sends it, and returns nil when the broker has stored it. Type,
// Recipient, CID and what belongs to the type are the caller's; Issuer is always
// this client's identity; JTI, IssuedAt, ExpiresAt and Party are filled in where
// they are empty. Set JTI to recognise the error message that refuses m, or to
// repeat a send that ended with [ErrTimeout]: the same JTI counts once.
//
// An attempt that the broker does not answer is repeated with the same JTI until
// ctx or Options.SendTimeout ends. Errors: *[signal.Refusal] for what the
// protocol does not allow, else one that wraps [ErrTimeout], [ErrNoRouter],
// [ErrNotPermitted], [ErrBacklogFull], [ErrRefused] or [ErrClosed]. If one attempt
// was not answered and a later one refused, it wraps [ErrTimeout] as well.
func (v *Voice) Send(ctx context.Context, m signal.Message) (err error) {
	c := v.c
	m.Issuer = c.self
	m.JTI = or(m.JTI, NewID())
	m.Party = or(m.Party, c.opts.Party)
	if m.IssuedAt.IsZero() {
		m.IssuedAt = c.opts.Now()
	}
	if m.ExpiresAt.IsZero() {
		m.ExpiresAt = m.IssuedAt.Add(c.opts.Lifetime)
	}
	if _, known := signal.ParseType(string(m.Type)); !known {
		return &signal.Refusal{Code: signal.CodeUnknownType, Detail: fmt.Sprintf("type %.32q is not one of the protocol", string(m.Type))}
	}
	claims, err := m.Encode()
	if err != nil {
		return err
	}
	msg := outgoing(subjects.Voice(c.self.String(), string(m.Type)), signal.MsgID(c.self, m.JTI), c.seal(claims))
	ctx, end := c.spans.send(ctx, m, msg.Header)
	defer func() { end(err) }()
	if err := fits(msg); err != nil {
		return err
	}
	c.mine.add(callID{m.CID, m.CallID}) // before its answer can arrive
	c.talks.note(m.Type, callID{m.CID, m.CallID})
	receipt, err := c.publish(ctx, msg)
	if err == nil && c.opts.Stored != nil {
		c.opts.Stored(m, receipt)
	}
	return err
}

// object encodes data, which must be a JSON object or null.
func object(data interface{}) (jsontext.Value, error) {
	if data == nil {
		return nil, nil
	}
	b, err := json.Marshal(data)
	if err != nil {
		return nil, &signal.Refusal{Code: signal.CodeBadClaims, Detail: fmt.Sprintf("data of type %T has no JSON: %v", data, err)}
	}
	switch v := jsontext.Value(b); v.Kind() {
	case '{':
		return v, nil
	case 'n':
		return nil, nil
	default:
		return nil, &signal.Refusal{Code: signal.CodeBadClaims, Detail: fmt.Sprintf("data of type %T is not a JSON object", data)}
	}
}

// seal puts claims into an envelope.
func (c *Client) seal(claims []byte) []byte {
	if c.opts.Unsigned {
		return identity.Unsigned(claims)
	}
	return c.opts.SigningKey.Sign(claims)
}
