package security

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// violation is refused by the broker with a permission violation for each of
// these subjects.
func violation(kind string, list ...string) outcome {
	return outcome{
		by: byBroker, seen: "permissions violation for " + kind,
		check: func(a *arena, x *peer) {
			a.t.Helper()
			if err := x.nc.Flush(); err != nil {
				a.t.Fatal(err)
			}
			for _, subject := range list {
				x.violated(kind, subject)
			}
		},
	}
}

// violated waits for the server's word on a subject.
func (p *peer) violated(kind, subject string) {
	p.a.t.Helper()
	select {
	case err := <-p.errs:
		text := strings.ToLower(err.Error())
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(text, kind) || !strings.Contains(text, strings.ToLower(`"`+subject+`"`)) {
			p.a.t.Errorf("got %v, want a permissions violation for %s of %s", err, kind, subject)
		}
	case <-time.After(patience):
		p.a.t.Errorf("no permissions violation for %s of %s", kind, subject)
	}
}

// publishes is an attack that writes to subjects, one after another.
func publishes(id, what string, list ...string) attack {
	return attack{id: id, what: what, want: violation("publish", list...), do: func(a *arena, x *peer) {
		for _, subject := range list {
			if err := x.nc.PublishRequest(subject, x.nc.NewInbox(), []byte(secret)); err != nil {
				a.t.Fatal(err)
			}
		}
	}}
}

// subscribes is an attack that listens to subjects.
func subscribes(id, what string, list ...string) attack {
	return attack{id: id, what: what, want: violation("subscription", list...), do: func(a *arena, x *peer) {
		for _, subject := range list {
			if _, err := x.nc.SubscribeSync(subject); err != nil {
				a.t.Fatal(err)
			}
		}
	}}
}

// tries runs the same attack as somebody else.
func (k attack) tries(as string) attack {
	k.as = as
	return k
}

// refused is an attack that publishes what make returns as its own message of a
// type. The worker refuses it.
func refused(id, what string, typ signal.Type, code signal.Code, make func(a *arena, x *peer) []byte, replies ...signal.Type) attack {
	var sent []byte
	var before float64
	seen := "refused with `" + string(code) + "`, kept and counted"
	if slices.Contains(replies, signal.Error) {
		seen += ", the sender is told"
	}
	return attack{
		id: id, what: what,
		do: func(a *arena, x *peer) {
			before = a.count("refused", code)
			sent = make(a, x)
			if ack := x.request(subjects.Voice(x.id.ID.String(), string(typ)), sent, nil); ack.Error != nil {
				a.t.Fatalf("the broker refused it: %+v", ack.Error)
			}
		},
		want: outcome{by: byWorker, seen: seen, stored: true, check: func(a *arena, x *peer) {
			a.t.Helper()
			a.kept(code, x.id.ID.String(), sent)
			eventually(a.t, "counted as "+string(code), func() bool { return a.count("refused", code) == before+1 })
			x.told(code, replies...)
		}},
	}
}

// kept waits until bytes are stored as refused.
func (a *arena) kept(code signal.Code, self string, data []byte) {
	a.t.Helper()
	subject := subjects.Rejected(string(code), self)
	eventually(a.t, "kept under "+subject, func() bool {
		m, err := msgget.Last(a.t.Context(), a.admin, subjects.StreamOut, subject)
		return err == nil && bytes.Equal(m.Data, data)
	})
}

// told reads what the attacker hears: these types and no more. The inbox is in
// the same batch as what is kept, so that it is stored by now.
func (p *peer) told(code signal.Code, types ...signal.Type) {
	p.a.t.Helper()
	for _, typ := range types {
		m := p.next()
		f, isFault := m.Fault()
		if m.Type != typ || isFault && f.Code != code {
			p.a.t.Errorf("told %s %s, want %s %s", m.Type, m.Data, typ, code)
		}
	}
	if err := p.nc.Flush(); err != nil {
		p.a.t.Fatal(err)
	}
	if n, _, _ := p.live.Pending(); n != 0 {
		p.a.t.Errorf("told %d messages more than %v: %.300s", n, types, p.raw().Data)
	}
}

// nothing is an outcome with a check of its own.
func nothing(by, seen string, stored bool, check func(a *arena, x *peer)) outcome {
	return outcome{by: by, seen: seen, stored: stored, check: check}
}
