package subjects_test

import (
	"testing"

	"github.com/voicerouter/voicerouter/subjects"
)

func TestKindOf(t *testing.T) {
	for subject, want := range map[string]subjects.Kind{
		subjects.Voice("a", "start"):                            subjects.Stored,
		subjects.Inbox("a", "start"):                            subjects.Stored,
		subjects.State("c"):                                     subjects.Stored,
		subjects.Rejected("malformed", "a"):                     subjects.Stored,
		subjects.KVKey(subjects.BucketRoutes, "c"):              subjects.Stored,
		subjects.RequestStreamDelete(subjects.StreamOut):        subjects.API,
		subjects.RequestNext(subjects.StreamIn, "router"):       subjects.API,
		subjects.RequestDirect(subjects.StreamOut):              subjects.API,
		subjects.RequestServers:                                 subjects.API,
		subjects.FilterAck(subjects.StreamIn, "router"):         subjects.Ack,
		subjects.FilterFlowControl(subjects.KV("voice_routes")): subjects.Ack,
		subjects.Sync("a"):                                      subjects.Plain,
		subjects.ServiceCallEnd:                                 subjects.Plain,
		subjects.FilterServiceReplies:                           subjects.Plain,
		subjects.InboxPrefix("a") + ".x":                        subjects.Plain,
		subjects.LiveAll("a"):                                   subjects.Plain,
		"":                                                      subjects.Plain,
	} {
		if got := subjects.KindOf(subject); got != want {
			t.Errorf("%q: want %d, got %d", subject, want, got)
		}
	}
}
