package security

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestSubjects(t *testing.T) { play(t, newArena(t, nil), subjectAttacks()) }

func TestRoles(t *testing.T) { play(t, newArena(t, nil), roleAttacks()) }

func subjectAttacks() []attack {
	return append(append(listening(), writing()...), appWriting()...)
}

func listening() []attack {
	return []attack{
		subscribes("S01", "listen to another's live messages", subjects.LiveAll(operator)),
		subscribes("S02", "listen to everybody's live messages", subjects.FilterLive, "live.>", "live.voice.>"),
		subscribes("S03", "listen to everything", ">", "*.>", "*.*.*", "*"),
		subscribes("S04", "listen to what others send", "voice.>", subjects.FilterVoice, subjects.Voice(operator, "start")),
		subscribes("S05", "listen to stored inboxes", subjects.InboxAll(operator), subjects.FilterInbox, subjects.InboxAll(mallory)),
		subscribes("S06", "listen to another's replies", subjects.InboxPrefix(operator)+".>", subjects.FilterInboxes, subjects.InboxPrefix("")+">"),
		subscribes("S07", "listen to the replies of an identity whose name begins one's own", subjects.InboxPrefix(short)+".>", subjects.LiveAll(short)),
		subscribes("S08", "listen to call records and timers", subjects.FilterCall, subjects.State(victims)),
		subscribes("S09", "listen to routes and identities", "$KV.>"),
		subscribes("S10", "listen to acknowledgements, API and advisories", "$JS.>", "$JS.EVENT.>", "$JS.ACK.>"),
		subscribes("S11", "listen to the system account", "$SYS.>"),
		subscribes("S12", "listen to the services' monitoring", subjects.FilterServices),
		subscribes("S13", "listen to what was refused", subjects.FilterRejected),
		subscribes("S14", "listen to replies between the accounts", subjects.FilterServiceReplies),
		subscribes("S15", "answer sync requests in the routers' place", subjects.FilterSync, subjects.Sync(operator)),
		subscribes("S16", "answer the backend in the routers' place", subjects.FilterServiceCalls),
		{
			id: "S17", what: "take another's live messages away with a queue group", want: violation("subscription", subjects.LiveAll(operator)),
			do: func(a *arena, x *peer) {
				if _, err := x.nc.QueueSubscribeSync(subjects.LiveAll(operator), "q"); err != nil {
					a.t.Fatal(err)
				}
			},
		},
	}
}

func writing() []attack {
	var foreign []string
	for _, typ := range signal.Types() {
		foreign = append(foreign, subjects.Voice(operator, string(typ)))
	}
	return []attack{
		publishes("S20", "send in another's name, every type", foreign...),
		publishes("S21", "write into another's inbox", subjects.Inbox(operator, "stop"), subjects.Inbox(customer, "start")),
		publishes("S22", "write into one's own inbox what a proxy never said", subjects.Inbox(mallory, "start")),
		publishes("S23", "invent types to get round the limit per subject", subjects.Voice(mallory, "invented"), subjects.Voice(mallory, "Start"), "voice."+mallory+".start.x"),
		publishes("S24", "write live messages past the store", "live."+subjects.Inbox(operator, "stop"), "live."+subjects.Inbox(mallory, "stop")),
		publishes("S25", "overwrite a call record", subjects.State(victims)),
		publishes("S26", "set a timer or fire a timeout", subjects.Timer(victims), subjects.Timeout(victims)),
		publishes("S27", "fill the refused messages of another", subjects.Rejected("bad", operator)),
		publishes("S28", "write a route", subjects.KVKey(subjects.BucketRoutes, victims)),
		publishes("S29", "register one's own key for another", subjects.KVKey(subjects.BucketIdentities, operator)),
		publishes("S30", "administer streams over the API", streamVerbs()...),
		publishes("S31", "administer consumers over the API", consumerVerbs()...),
		publishes("S32", "administer account and cluster over the API", clusterVerbs()...),
		publishes("S33", "read streams over the API", readVerbs()...),
		{
			id: "S34", what: "create a consumer that delivers to a call record", want: violation("publish", createConsumer()...),
			do: func(a *arena, x *peer) {
				body := fmt.Sprintf(`{"stream_name":%q,"config":{"name":"x","deliver_subject":%q,"filter_subject":%q}}`,
					subjects.StreamOut, subjects.State(victims), subjects.FilterInbox)
				for _, subject := range createConsumer() {
					if err := x.nc.PublishRequest(subject, x.nc.NewInbox(), []byte(body)); err != nil {
						a.t.Fatal(err)
					}
				}
			},
		},
		publishes("S35", "acknowledge the messages of others away", "$JS.ACK."+subjects.StreamIn+"."+subjects.ConsumerRouter+".1.1.1.1.0", "$JS.ACK."+subjects.StreamOut+"."+subjects.AppConsumer(helpdesk)+".1.1.1.1.0"),
		publishes("S36", "end or create a call as if one were the backend", subjects.ServiceCallEnd, subjects.ServiceCallCreate, subjects.ServiceCallGet, subjects.ServiceCallList),
		publishes("S37", "ask for another's inbox", subjects.Sync(operator), subjects.Sync(proxy)),
		publishes("S38", "ask the system account who is connected", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.INFO", "$SYS.REQ.USER.AUTH"),
		publishes("S39", "ask the services about themselves", "$SRV.PING", "$SRV.INFO.voice-router", "$SRV.STATS"),
		publishes("S40", "answer somebody's request", subjects.InboxPrefix(operator)+".x", subjects.InboxPrefix("router")+".x", "_R_.x", "_INBOX.x"),
		publishes("S41", "publish to a wildcard", "voice.*.stop", "voice.>", "live.voice.*.inbox.stop"),
		publishes("S42", "play flow control of a consumer", "$JS.FC."+subjects.KV(subjects.BucketIdentities)+".x.y"),
	}
}

func appWriting() []attack {
	other := subjects.AppConsumer(helpdesk)
	return []attack{
		publishes("S50", "an app pulls the messages of another app", subjects.RequestNext(subjects.StreamOut, other)).tries(gazette),
		publishes("S51", "an app pulls the messages of the workers", subjects.RequestNext(subjects.StreamIn, subjects.ConsumerRouter), subjects.RequestNext(subjects.StreamOut, subjects.ConsumerTimeouts)).tries(gazette),
		publishes("S52", "an app acknowledges the messages of another app", "$JS.ACK."+subjects.StreamOut+"."+other+".1.1.1.1.0").tries(gazette),
		publishes("S53", "an app reads or unpins the consumer of another app", subjects.RequestConsumerInfo(subjects.StreamOut, other), "$JS.API.CONSUMER.UNPIN."+subjects.StreamOut+"."+other, "$JS.API.CONSUMER.UNPIN."+subjects.StreamOut+"."+subjects.AppConsumer(gazette)).tries(gazette),
		publishes("S54", "an app creates a consumer", createConsumer()...).tries(gazette),
		publishes("S55", "an app sends in the name of a user or of another app", subjects.Voice(customer, "stop"), subjects.Voice(proxy, "stop"), subjects.Inbox(customer, "stop")).tries(gazette),
		subscribes("S56", "an app listens to a user", subjects.LiveAll(customer), subjects.FilterLive).tries(gazette),
		publishes("S57", "a user pulls as an app", subjects.RequestNext(subjects.StreamOut, subjects.AppConsumer(mallory)), subjects.RequestNext(subjects.StreamOut, other)),
	}
}

func roleAttacks() []attack {
	return []attack{
		subscribes("R01", "the backend reads inboxes and calls", subjects.FilterInbox, subjects.FilterCall, "live.>", ">").tries(broker.UserBackend),
		publishes("R02", "the backend writes calls and inboxes", subjects.State(victims), subjects.Inbox(customer, "stop"), subjects.Voice(customer, "stop")).tries(broker.UserBackend),
		publishes("R03", "the backend changes identities", subjects.KVKey(subjects.BucketIdentities, operator)).tries(broker.UserBackend),
		publishes("R04", "the backend reads stored messages", subjects.RequestMessage(subjects.StreamOut), subjects.RequestDirect(subjects.StreamOut), createConsumer()[0]).tries(broker.UserBackend),
		publishes("R05", "the backend deletes or purges", streamVerbs()...).tries(broker.UserBackend),
		publishes("R06", "a worker's credential forges what an identity sent", subjects.Voice(operator, "stop")).tries(broker.UserRouter),
		publishes("R07", "a worker's credential changes identities", subjects.KVKey(subjects.BucketIdentities, operator)).tries(broker.UserRouter),
		publishes("R08", "a worker's credential deletes or purges", streamVerbs()...).tries(broker.UserRouter),
		publishes("R09", "a worker's credential fires a timeout", subjects.Timeout(victims)).tries(broker.UserRouter),
	}
}

// named fills in the names of a verb of the JetStream API.
func named(verbs ...string) (list []string) {
	for _, v := range verbs {
		n := strings.Count(v, "%s")
		names := []any{subjects.StreamOut, subjects.ConsumerTimeouts, "x"}
		list = append(list, fmt.Sprintf(v, names[:n]...))
	}
	return list
}

func streamVerbs() []string {
	return named(server.JSApiStreamCreateT, server.JSApiStreamUpdateT, server.JSApiStreamDeleteT, server.JSApiStreamPurgeT,
		server.JSApiMsgDeleteT, server.JSApiStreamSnapshotT, server.JSApiStreamRestoreT, server.JSApiStreamRemovePeerT,
		server.JSApiStreamEvacuatePeerT, server.JSApiStreamLeaderStepDownT, server.JSApiStreamCancelMoveT)
}

func consumerVerbs() []string {
	return named(server.JSApiConsumerCreateT, server.JSApiConsumerCreateExT, server.JSApiDurableCreateT, server.JSApiConsumerDeleteT,
		server.JSApiConsumerPauseT, server.JSApiConsumerResetT, server.JSApiConsumerUnpinT, server.JSApiConsumerLeaderStepDownT,
		server.JSApiConsumerRemovePeerT, server.JSApiConsumerEvacuatePeerT)
}

func clusterVerbs() []string {
	return []string{
		server.JSApiAccountInfo, server.JSApiLeaderStepDown, server.JSApiRemoveServer, server.JSApiEvacuateServer, server.JSApiMetaRescue,
		"$JS.API.ACCOUNT.PURGE.ROUTER", "$JS.API.ACCOUNT.STREAM.MOVE.ROUTER.VOICE_OUT", "$JS.API.ACCOUNT.STREAM.CANCEL_MOVE.ROUTER.VOICE_OUT",
	}
}

func readVerbs() []string {
	return append(named(server.JSApiStreams, server.JSApiStreamList, server.JSApiStreamInfoT, server.JSApiMsgGetT, server.JSApiConsumersT,
		server.JSApiConsumerListT, server.JSApiConsumerInfoT, server.JSApiRequestNextT),
		subjects.RequestDirect(subjects.StreamOut), subjects.RequestDirect(subjects.StreamOut)+"."+subjects.State(victims))
}

func createConsumer() []string {
	return append(named(server.JSApiConsumerCreateT, server.JSApiDurableCreateT, server.JSApiConsumerCreateExT),
		"$JS.API.CONSUMER.CREATE."+subjects.StreamIn)
}
