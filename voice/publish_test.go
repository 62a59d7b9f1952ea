package voice

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestStored(t *testing.T) {
	tests := map[string]struct {
		ack   string
		is    error
		final bool
	}{
		"stored":            {`{"stream":"VOICE_IN","seq":7}`, nil, true},
		"stored before":     {`{"stream":"VOICE_IN","seq":7,"duplicate":true}`, nil, true},
		"in process":        {`{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"},"stream":"VOICE_IN","seq":0}`, ErrTimeout, false},
		"backlog":           {`{"error":{"code":503,"err_code":10077,"description":"maximum messages per subject exceeded"},"stream":"VOICE_IN","seq":0}`, ErrBacklogFull, true},
		"too large":         {`{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}`, ErrRefused, true},
		"no space":          {`{"error":{"code":503,"err_code":10023,"description":"insufficient resources"}}`, ErrRefused, false},
		"an empty PubAck":   {`{}`, ErrTimeout, false},
		"not a PubAck":      {`+OK`, ErrTimeout, false},
		"duplicate members": {`{"stream":"VOICE_IN","seq":7,"seq":0}`, ErrTimeout, false},
	}
	for name, test := range tests {
		receipt, err := stored([]byte(test.ack))
		if stored := receipt.Seq > 0; stored != (err == nil) || receipt.Duplicate != strings.Contains(test.ack, "duplicate\"") {
			t.Errorf("%s: got receipt %+v", name, receipt)
		}
		if !errors.Is(err, test.is) || test.is == nil && err != nil {
			t.Errorf("%s: got %v, want %v", name, err, test.is)
		}
		if err != nil && final(err) != test.final {
			t.Errorf("%s: got final %v, want %v", name, final(err), test.final)
		}
	}
}

func TestParsePage(t *testing.T) {
	good, err := parsePage(&nats.Msg{Data: []byte(
		`{"messages":[{"seq":12,"type":"start","time":"2026-01-02T03:04:05.678901234Z","payload":{"a":"b"}}],"more":true,"upto":11}`)})
	if err != nil || len(good.messages) != 1 || !good.more || good.upto != 12 {
		t.Fatalf("got %+v, %v", good, err)
	}
	if r := good.messages[0]; r.seq != 12 || r.typ != "start" || r.at.Nanosecond() != 678901234 || string(r.payload) != `{"a":"b"}` {
		t.Errorf("got %+v", r)
	}
	for name, msg := range map[string]*nats.Msg{
		"error in the body":    {Data: []byte(`{"error":{"code":"internal","detail":"ask again"}}`)},
		"error in the headers": {Header: nats.Header{"Nats-Service-Error-Code": {"500"}, "Nats-Service-Error": {"ask again"}}},
		"no JSON":              {Data: []byte(`?`)},
	} {
		if _, err := parsePage(msg); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestTextForLogs(t *testing.T) {
	for in, want := range map[string]string{
		"nats://u:p@h:4222,nats://t@g:1": "nats://h:4222,nats://g:1",
		"u:p@h:4222":                     "h:4222",
		"127.0.0.1:4222":                 "127.0.0.1:4222",
	} {
		if got := redact(in); got != want {
			t.Errorf("redact(%q): got %q, want %q", in, got, want)
		}
	}
	got := quoted(`Permissions Violation for Publish to "voice.a.stop" and "b`)
	if want := []string{"voice.a.stop"}; !slices.Equal(got, want) {
		t.Errorf("quoted: got %q, want %q", got, want)
	}
}
