package security

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestSync(t *testing.T) { play(t, newArena(t, nil), syncAttacks()) }

// ask makes a sync request of one's own.
func (p *peer) ask(body string) (answer signal.SyncResponse, raw string) {
	p.a.t.Helper()
	reply, err := p.nc.Request(subjects.Sync(p.id.ID.String()), []byte(body), patience)
	if err != nil {
		p.a.t.Fatal(err)
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		p.a.t.Fatalf("answer %s: %v", reply.Data, err)
	}
	return answer, string(reply.Data)
}

// asked is an attack with what one writes into a sync request.
func asked(id, what string, code signal.Code, bodies ...string) attack {
	seen := "answered with one's own messages and no others"
	if code != "" {
		seen = "answered with `" + string(code) + "`"
	}
	return attack{id: id, what: what, do: func(a *arena, x *peer) {
		for _, body := range bodies {
			answer, raw := x.ask(body)
			switch {
			case code != "" && (answer.Error == nil || answer.Error.Code != code || len(answer.Messages) != 0):
				a.t.Errorf("%.80s: answer %.300s, want %s", body, raw, code)
			case code == "" && answer.Error != nil:
				a.t.Errorf("%.80s: answer %.300s, want messages", body, raw)
			}
			for _, m := range answer.Messages {
				if claims := decode(a.t, m.Payload); claims.Recipient != x.id.ID {
					a.t.Errorf("%.80s: a message for %s", body, claims.Recipient)
				}
			}
			for _, name := range []string{operator, customer, victims} {
				if strings.Contains(raw, name) {
					a.t.Errorf("%.80s: the answer names %s: %.300s", body, name, raw)
				}
			}
		}
	}, want: nothing(byWorker, seen, true, func(*arena, *peer) {})}
}

func syncAttacks() []attack {
	const since = `{"since":0,`
	return []attack{
		publishes("N01", "ask for the inbox of another", subjects.Sync(operator), subjects.Sync("*"), subjects.FilterSync, subjects.Sync(short)),
		asked("N02", "name another in the request", "", since+`"self":"`+operator+`","subject":"voice.`+operator+`.inbox.*","identity":"`+operator+`"}`),
		asked("N03", "sequences below and beyond all", "", `{"since":18446744073709551615}`, `{"since":1}`, `{"since":9223372036854775808,"max":1}`),
		asked("N04", "numbers that are none", signal.CodeBadClaims, `{"since":-1}`, `{"since":1e3}`, `{"since":"0"}`, `{"since":18446744073709551616}`, `{"since":1,"since":2}`, `[]`, ``, `{"since":0`, "\xff"),
		asked("N05", "ask for more than there is", "", since+`"max":2147483647}`, since+`"max":-5}`),
		asked("N06", "a request of deep nesting", signal.CodeBadClaims, `{"since":`+strings.Repeat("[", 30000)+strings.Repeat("]", 30000)+`}`, strings.Repeat(`{"since":`, 7000)),
		withoutReply(),
	}
}

// withoutReply asks and wants no answer, or one where there is nobody.
func withoutReply() attack {
	return attack{id: "N07", what: "ask without a reply subject, many times", do: func(a *arena, x *peer) {
		for range 1000 {
			if err := x.nc.PublishMsg(&nats.Msg{Subject: subjects.Sync(mallory), Data: []byte(`{"since":0}`)}); err != nil {
				a.t.Fatal(err)
			}
		}
		if err := x.nc.Flush(); err != nil {
			a.t.Fatal(err)
		}
		begin := time.Now()
		if reply, err := a.op.nc.Request(subjects.Sync(operator), []byte(`{"since":0}`), patience); err != nil || !strings.HasPrefix(string(reply.Data), `{"messages":`) {
			a.t.Errorf("the operator's sync: %v", err)
		}
		a.t.Logf("the operator was answered after %v", time.Since(begin))
	}, want: nothing(byWorker, "ignored without reading the stream; another's request is answered", true, func(*arena, *peer) {}), talk: true}
}
