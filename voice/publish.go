package voice

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/signal"
)

const (
	// tryFor bounds one attempt of a send.
	tryFor = 2 * time.Second
	// The pause between two attempts doubles from firstPause to lastPause.
	firstPause, lastPause = 50 * time.Millisecond, time.Second
)

// maxStored is what VOICE_IN takes: bytes of payload and headers
// (docs/protocol.md, "Streams and buckets").
const maxStored = 64 << 10

func outgoing(subject, msgID string, payload []byte) *nats.Msg {
	return &nats.Msg{Subject: subject, Data: payload, Header: nats.Header{nats.MsgIdHdr: {msgID}}}
}

// fits refuses a message that the broker would refuse for its size.
func fits(msg *nats.Msg) error {
	if size := msg.Size() - len(msg.Subject); size > maxStored {
		return &signal.Refusal{Code: signal.CodeOversized, Detail: fmt.Sprintf(
			"the message is %d bytes as it is sent (escaped, signed, base64), more than %d: shorten peer_info or data", size, maxStored)}
	}
	return nil
}

// Receipt is the broker's answer to a message that it has stored.
type Receipt struct {
	// Seq is the sequence of the message in the stream VOICE_IN.
	Seq uint64
	// Duplicate says that it had been stored before: see [Voice.Send].
	Duplicate bool
}

// publish has the broker store msg. It repeats attempts that may help: a message
// that is stored twice has the same jti and counts once.
func (c *Client) publish(ctx context.Context, msg *nats.Msg) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.SendTimeout)
	defer cancel()
	unknown := false
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		receipt, err := c.attempt(ctx, msg)
		if err == nil {
			return receipt, nil
		}
		if !final(err) {
			unknown = unknown || errors.Is(err, ErrTimeout)
			select {
			case <-time.After(pause):
				continue
			case <-c.closed:
				err = ErrClosed
			case <-ctx.Done():
			}
		}
		if unknown && !errors.Is(err, ErrTimeout) {
			// An attempt before this one may have been stored.
			return Receipt{}, fmt.Errorf("%w: %w", ErrTimeout, err)
		}
		return Receipt{}, err
	}
}

// attempt sends msg once and reads the broker's answer.
func (c *Client) attempt(ctx context.Context, msg *nats.Msg) (Receipt, error) {
	select {
	case <-c.closed:
		return Receipt{}, ErrClosed
	default:
	}
	try, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	reply, err := c.nc.RequestMsgWithContext(try, msg)
	if err == nil {
		return stored(reply.Data)
	}
	return Receipt{}, c.failure(msg, err)
}

// failure says what it means that an attempt had no answer.
func (c *Client) failure(msg *nats.Msg, err error) error {
	if _, denied := c.denied.LoadAndDelete(msg.Subject); denied {
		return fmt.Errorf("%w: subject %s", ErrNotPermitted, msg.Subject)
	}
	switch {
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return ErrClosed
	case errors.Is(err, nats.ErrNoResponders):
		return ErrNoRouter
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %d bytes exceed the server's max_payload", ErrRefused, len(msg.Data))
	default: // no answer, or a connection that is being made again
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
}

// final reports whether sending again cannot help.
func final(err error) bool {
	if refusal, ok := errors.AsType[*BrokerError](err); ok {
		return refusal.Code < 500
	}
	return !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrNoRouter)
}

// pubAck is JetStream's answer to a message published to a stream.
type pubAck struct {
	Stream string `json:"stream"`
	Seq    uint64 `json:"seq"`
	Again  bool   `json:"duplicate"`
	Error  *struct {
		Code        int    `json:"code"`
		ErrCode     int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// inProcess is JetStream's code for a message whose id it is just storing, or
// tried to store when its leader was lost: not known yet is what became of it.
const inProcess = 10158

// storeFailed is JetStream's code for a limit of the stream, perSubject the
// description if it was that of one subject.
const (
	storeFailed = 10077
	perSubject  = "per subject"
)

// stored returns the receipt if ack says that the message is in the stream.
func stored(ack []byte) (Receipt, error) {
	var a pubAck
	if err := json.Unmarshal(ack, &a); err != nil {
		return Receipt{}, fmt.Errorf("%w: its answer is not a PubAck of %d bytes", ErrTimeout, len(ack))
	}
	switch {
	case a.Error == nil && a.Stream != "" && a.Seq > 0:
		return Receipt{a.Seq, a.Again}, nil
	case a.Error == nil:
		return Receipt{}, fmt.Errorf("%w: its PubAck names no stream", ErrTimeout)
	case a.Error.ErrCode == inProcess:
		return Receipt{}, fmt.Errorf("%w: %s", ErrTimeout, a.Error.Description)
	case a.Error.ErrCode == storeFailed && strings.Contains(a.Error.Description, perSubject):
		return Receipt{}, ErrBacklogFull
	default:
		return Receipt{}, &BrokerError{Code: a.Error.Code, ErrCode: a.Error.ErrCode, Description: a.Error.Description}
	}
}
