// Package msgget reads single messages of a JetStream stream from the stream's
// leader. A direct get, which any replica answers, can be behind an acknowledged
// write; a read from the leader cannot.
package msgget

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// ErrNone is returned when the stream holds no such message.
var ErrNone = errors.New("no message")

// Message is a stored message.
type Message struct {
	Subject string
	Seq     uint64
	Time    time.Time
	Header  nats.Header
	Data    []byte
}

// Gone reports whether m, read from a key-value bucket, is no value but the
// marker of a key that was deleted, purged or has expired.
func (m Message) Gone() bool { return IsMarker(m.Header) }

// IsMarker is [Message.Gone] for a header alone.
func IsMarker(h nats.Header) bool {
	return h.Get("KV-Operation") != "" || h.Get("Nats-Marker-Reason") != ""
}

type request struct {
	Last string     `json:"last_by_subj,omitzero"`
	Seq  uint64     `json:"seq,omitzero"`
	Next string     `json:"next_by_subj,omitzero"`
	Time *time.Time `json:"start_time,omitzero"`
}

type response struct {
	Error   *jetstream.APIError `json:"error"`
	Message *struct {
		Subject string    `json:"subject"`
		Seq     uint64    `json:"seq"`
		Time    time.Time `json:"time"`
		Header  []byte    `json:"hdrs"`
		Data    []byte    `json:"data"`
	} `json:"message"`
}

// Last returns the last message on a subject, or [ErrNone].
func Last(ctx context.Context, nc *nats.Conn, stream, subject string) (Message, error) {
	return get(ctx, nc, stream, request{Last: subject})
}

// Next returns the first message with a sequence of at least seq that matches
// filter, or [ErrNone].
func Next(ctx context.Context, nc *nats.Conn, stream, filter string, seq uint64) (Message, error) {
	return get(ctx, nc, stream, request{Seq: max(seq, 1), Next: filter})
}

// Since returns the first message stored at or after a point in time that matches
// filter, or [ErrNone].
func Since(ctx context.Context, nc *nats.Conn, stream, filter string, at time.Time) (Message, error) {
	at = at.UTC()
	return get(ctx, nc, stream, request{Time: &at, Next: filter})
}

func get(ctx context.Context, nc *nats.Conn, stream string, req request) (Message, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return Message{}, fmt.Errorf("read stream %s: %w", stream, err)
	}
	reply, err := nc.RequestWithContext(ctx, subjects.RequestMessage(stream), body)
	if err != nil {
		return Message{}, fmt.Errorf("read stream %s from its leader: %w", stream, err)
	}
	var resp response
	if err := json.Unmarshal(reply.Data, &resp); err != nil {
		return Message{}, fmt.Errorf("read stream %s from its leader: %w", stream, err)
	}
	switch {
	case resp.Error != nil && resp.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Message{}, ErrNone
	case resp.Error != nil:
		return Message{}, fmt.Errorf("read stream %s from its leader: %w", stream, resp.Error)
	case resp.Message == nil:
		return Message{}, fmt.Errorf("read stream %s from its leader: empty answer", stream)
	}
	m := Message{Subject: resp.Message.Subject, Seq: resp.Message.Seq, Time: resp.Message.Time, Data: resp.Message.Data}
	if len(resp.Message.Header) > 0 {
		if m.Header, err = nats.DecodeHeadersMsg(resp.Message.Header); err != nil {
			return Message{}, fmt.Errorf("read stream %s: headers of message %d: %w", stream, m.Seq, err)
		}
	}
	return m, nil
}
