package signal_test

import (
	"os"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// TestMsgID: the worked example of the protocol, and that the header names nobody.
func TestMsgID(t *testing.T) {
	t.Parallel()
	const self, jti = "1112223334", "kq3v0c8n1m5t7y2z"
	id := signal.MsgID(identity.MustID(self), jti)
	if strings.Contains(id, self) || len(id) != 22 {
		t.Errorf("got %q, want 22 characters that name nobody", id)
	}
	text, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "`Nats-Msg-Id: " + id + "`"; !strings.Contains(string(text), want) {
		t.Errorf("docs/protocol.md, worked example: want %s", want)
	}
	if signal.MsgID(identity.MustID("11122233341"), "0"+jti) == signal.MsgID(identity.MustID("1112223334"), "10"+jti) {
		t.Error("sender and jti run into one another")
	}
}
