package voice_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

// readKey reads a signing key: a file with a private JWK.
func readKey(path string) identity.PrivateKey {
	key, err := identity.ReadPrivateKey(path)
	if err != nil {
		log.Fatal(err)
	}
	return key
}

// An operator calls the customer of a conversation through its proxy.
func Example() {
	ctx := context.Background()
	client, err := voice.Connect(ctx, voice.Options{
		URL:        "nats://127.0.0.1:4222",
		SelfID:     "1112223334",
		SigningKey: readKey("operator.jwk"),
		NKeyFile:   "operator.nk",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	v := client.Voice()
	v.OnAccept(func(iss, cid, callID, peerInfo string, data interface{}) {
		fmt.Println("answered:", peerInfo) // an SDP answer
	})
	v.OnStop(func(iss, cid, callID string) {
		fmt.Println("over:", callID)
	})

	callID := voice.NewID()
	if err := v.Start("proxy", "case-4711", callID, "v=0 ...", nil); err != nil {
		log.Fatal(err)
	}
}

// The other side: a device that rings and answers.
func ExampleVoice_OnStart() {
	ctx := context.Background()
	client, err := voice.Connect(ctx, voice.Options{
		SelfID:     "1111111111",
		SigningKey: readKey("customer.jwk"),
		NKeyFile:   "customer.nk",
		Party:      "phone", // one of several devices
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	v := client.Voice()
	v.OnStart(func(iss, cid, callID, peerInfo string, data interface{}) {
		if err := v.Ringing(iss, cid, callID); err != nil {
			log.Print(err)
		}
		if err := v.Accept(iss, cid, callID, "v=0 ...", nil); err != nil {
			log.Print(err)
		}
	})
}

// One handler for whole messages, with the reason of a stop and the broker's
// sequence and time.
func ExampleVoice_OnMessage() {
	var client *voice.Client // from Connect
	client.Voice().OnMessage(func(ctx context.Context, m voice.Message) error {
		switch m.Type {
		case signal.Stop:
			fmt.Println(m.Seq, m.Time, m.CallID, "ended:", m.Reason)
		case signal.Error:
			fault, _ := m.Fault()
			fmt.Println(m.CallID, "refused:", fault.Code, fault.Detail)
		default:
		}
		return nil // an error makes the broker deliver it to an app again
	})
}

// A send with a context, and what its errors mean.
func ExampleVoice_Send() {
	var client *voice.Client // from Connect
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m := signal.Message{
		Type:      signal.Stop,
		JTI:       voice.NewID(), // so that it can be repeated
		Recipient: identity.MustID("proxy"),
		CID:       "case-4711",
		CallID:    "call-1",
		Reason:    signal.ICEFailed,
	}
	err := client.Voice().Send(ctx, m)
	var refusal *signal.Refusal
	switch {
	case err == nil:
		// The broker has it: the router will get it, whatever dies.
	case errors.As(err, &refusal):
		// The message breaks the protocol, nothing was sent.
	case errors.Is(err, voice.ErrTimeout):
		// Unknown: sending m again is safe, the same JTI counts once.
	case errors.Is(err, voice.ErrBacklogFull), errors.Is(err, voice.ErrNoRouter):
		// Not stored: try again later.
	default:
		log.Print(err)
	}
}

// An app writes its own proxy: it may address anybody, and several processes of
// it may run, of which one is active.
func ExampleConnect_app() {
	ctx := context.Background()
	client, err := voice.Connect(ctx, voice.Options{
		SelfID:     "helpdesk",
		Role:       identity.RoleApp,
		SigningKey: readKey("helpdesk.jwk"),
		NKeyFile:   "helpdesk.nk",
		Logger:     slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	v := client.Voice()
	v.OnStart(func(iss, cid, callID, peerInfo string, data interface{}) {
		// Returning acknowledges: a process killed half way leaves the message to
		// another one.
		if err := v.Start("1111111111", cid, callID, peerInfo, map[string]string{"operator_name": "Bob"}); err != nil {
			log.Print(err)
		}
	})
}
