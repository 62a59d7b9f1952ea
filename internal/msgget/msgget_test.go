package msgget_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestMain(m *testing.M) {
	ats.Register()
	code := m.Run()
	ats.Unregister()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func TestGet(t *testing.T) {
	b := brokertest.Start(t, brokertest.Options{Memory: true})
	js := brokertest.JetStream(t, b.Admin(t))
	publish := func(subject, data string, header nats.Header) uint64 {
		t.Helper()
		ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(data), Header: header})
		if err != nil {
			t.Fatalf("publish %s: %v", subject, err)
		}
		return ack.Sequence
	}
	one, two := subjects.State("one"), subjects.State("two")
	began := time.Now()
	first := publish(one, "1", nil)
	second := publish(two, "2\x00\xff", nats.Header{"Voice-Detail": {"a", "b"}})
	third := publish(one, "3", nil)

	reader := b.Router(t)
	check := func(m msgget.Message, err error, subject string, seq uint64, data string) {
		t.Helper()
		if err != nil || m.Subject != subject || m.Seq != seq || string(m.Data) != data {
			t.Errorf("got %s %d %q, error %v, want %s %d %q", m.Subject, m.Seq, m.Data, err, subject, seq, data)
		}
		if off := m.Time.Sub(began); off < -time.Minute || off > time.Minute {
			t.Errorf("time %v, want about %v", m.Time, began)
		}
	}
	m, err := msgget.Last(t.Context(), reader, subjects.StreamOut, one)
	check(m, err, one, third, "3")
	if m.Header != nil {
		t.Errorf("headers %v, want none", m.Header)
	}
	m, err = msgget.Last(t.Context(), reader, subjects.StreamOut, two)
	check(m, err, two, second, "2\x00\xff")
	if got := m.Header.Values("Voice-Detail"); len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Errorf("headers %v, want both values", m.Header)
	}
	m, err = msgget.Next(t.Context(), reader, subjects.StreamOut, one, 0)
	check(m, err, one, first, "1")
	m, err = msgget.Next(t.Context(), reader, subjects.StreamOut, one, first+1)
	check(m, err, one, third, "3")
	m, err = msgget.Next(t.Context(), reader, subjects.StreamOut, subjects.FilterState, second)
	check(m, err, two, second, "2\x00\xff")

	if _, err := msgget.Last(t.Context(), reader, subjects.StreamOut, subjects.State("three")); !errors.Is(err, msgget.ErrNone) {
		t.Errorf("last of nothing: error %v, want ErrNone", err)
	}
	if _, err := msgget.Next(t.Context(), reader, subjects.StreamOut, one, third+1); !errors.Is(err, msgget.ErrNone) {
		t.Errorf("behind the last: error %v, want ErrNone", err)
	}
}

// TestUnreadable: a stream that cannot be read is not one without the message.
func TestUnreadable(t *testing.T) {
	b := brokertest.Start(t, brokertest.Options{Memory: true})
	nc := b.Router(t)
	if err := brokertest.JetStream(t, b.Admin(t)).DeleteStream(t.Context(), subjects.StreamOut); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var api *jetstream.APIError
	_, err := msgget.Last(ctx, nc, subjects.StreamOut, subjects.State("one"))
	if !errors.As(err, &api) || api.ErrorCode != jetstream.JSErrCodeStreamNotFound || errors.Is(err, msgget.ErrNone) {
		t.Errorf("without the stream: error %v, want stream not found", err)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := msgget.Last(ended, nc, subjects.StreamOut, subjects.State("one")); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: error %v, want its own", err)
	}
	nc.Close()
	if _, err := msgget.Last(t.Context(), nc, subjects.StreamOut, subjects.State("one")); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("on a closed connection: error %v, want ErrConnectionClosed", err)
	}
}

func TestIsMarker(t *testing.T) {
	for name, tc := range map[string]struct {
		header nats.Header
		want   bool
	}{
		"value":   {nil, false},
		"headers": {nats.Header{"Nats-TTL": {"1h"}}, false},
		"deleted": {nats.Header{"KV-Operation": {"DEL"}}, true},
		"purged":  {nats.Header{"KV-Operation": {"PURGE"}}, true},
		"expired": {nats.Header{"Nats-Marker-Reason": {"MaxAge"}}, true},
	} {
		if got := (msgget.Message{Header: tc.header}).Gone(); got != tc.want {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}
