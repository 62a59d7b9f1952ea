package security

import (
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestReplies(t *testing.T) { play(t, newArena(t, nil), replyAttacks()) }

const rewritten = "the reply subject crosses rewritten: the answer stays in the account of the endpoints, where nobody listens; nothing is stored"

// answered is an attack that publishes where it may, with reply subjects where it
// may not. The broker checks no permission on them.
func answered(id, what, subject string, body func(a *arena, x *peer) string, replies ...string) attack {
	return attack{
		id: id, what: what,
		do: func(a *arena, x *peer) {
			for _, reply := range replies {
				if err := x.nc.PublishRequest(subject, reply, []byte(body(a, x))); err != nil {
					a.t.Fatal(err)
				}
			}
			x.behind()
		},
		want: nothing(byBroker, rewritten, true, func(*arena, *peer) {}),
	}
}

// behind sends an honest message behind others on the same subject, and waits
// until the worker has refused them.
func (p *peer) behind() {
	p.a.t.Helper()
	m := p.claims(signal.Start, "nowhere", "k")
	p.request(subjects.Voice(p.id.ID.String(), "start"), p.sign(m), nil)
	if got := p.expect(signal.Error, "k"); !strings.Contains(string(got.Data), m.JTI) {
		p.a.t.Fatalf("got %s, want the answer to %s", got.Data, m.JTI)
	}
}

func text(s string) func(*arena, *peer) string { return func(*arena, *peer) string { return s } }

func replyAttacks() []attack {
	start, ask := subjects.Voice(mallory, "start"), subjects.Sync(mallory)
	const cold = `{"since":0}`
	ackOf := "$JS.ACK." + subjects.StreamOut + "." + subjects.AppConsumer(helpdesk) + ".1.1.1.1.0"
	return []attack{
		answered("P01", "one's own message with a reply to a call record", start, text(secret), subjects.State(victims)),
		answered("P02", "... to a timer or a timeout", start, text(secret), subjects.Timer(victims), subjects.Timeout(victims)),
		answered("P03", "... to a stored inbox", start, text(secret), subjects.Inbox(operator, "stop"), subjects.Inbox(mallory, "start")),
		answered("P04", "... to what another sends", start, text(secret), subjects.Voice(operator, "stop"), subjects.Voice(proxy, "stop")),
		answered("P05", "... to routes, identities and what was refused", start, text(secret), subjects.KVKey(subjects.BucketRoutes, victims), subjects.KVKey(subjects.BucketIdentities, operator), subjects.Rejected("x", operator)),
		answered("P06", "... to the JetStream API and to acknowledgements", start, text(secret), named(append(streamVerbs(), consumerVerbs()...)...)...),
		answered("P07", "... to the services of the routers and to their replies", start, text(secret), subjects.ServiceCallEnd, subjects.Sync(operator), "_R_.x", "_INBOX_router.x", "_INBOX_admin.x", "$SRV.PING"),
		answered("P08", "... that looks like a batch, or is a wildcard", start, text(secret), "x.$FI", subjects.InboxPrefix(mallory)+".b.10.fail.1.0.$FI", "live.voice.*.inbox.stop"),
		answered("P09", "a sync request with a reply to a stream's subject", ask, text(cold), subjects.State(victims), subjects.Timer(victims), subjects.Inbox(operator, "stop"), subjects.Voice(operator, "stop"), subjects.KVKey(subjects.BucketRoutes, victims)),
		answered("P10", "a sync request with a reply to the API, to an acknowledgement, to another's sync", ask, text(cold), "$JS.API.STREAM.PURGE."+subjects.StreamOut, ackOf, subjects.Sync(operator), subjects.RequestNext(subjects.StreamOut, subjects.AppConsumer(helpdesk))),
		guessedInbox(), forgedLive("P12", "one's own message with a reply to another's live subject", start, text(secret)),
		forgedLive("P13", "a sync request with a reply to another's live subject", ask, text(cold)),
		pulled("P14", "an app's pull with a reply to a stream's subject", subjects.State(victims), subjects.Timer(victims), subjects.Inbox(operator, "stop"), subjects.KVKey(subjects.BucketRoutes, victims)),
		pulled("P15", "an app's pull with a reply to what another sends, or to another's sync", subjects.Voice(operator, "stop"), subjects.Voice(proxy, "stop"), subjects.Sync(operator)),
		pulled("P16", "an app's pull with a reply that pulls from, or acknowledges for, another app", subjects.RequestNext(subjects.StreamOut, subjects.AppConsumer(helpdesk)), ackOf, subjects.RequestConsumerInfo(subjects.StreamOut, subjects.AppConsumer(helpdesk))),
		pulledLive(),
	}
}
