package voice_test

import (
	"context"
	"log"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/voice"
)

// The operator's side of a call, as the README shows it.
func Example_readme() {
	ctx := context.Background()
	// readme:begin
	key, err := identity.ReadPrivateKey("keys/1112223334.jwk")
	if err != nil {
		log.Fatal(err)
	}
	client, err := voice.Connect(ctx, voice.Options{SelfID: "1112223334", SigningKey: key, NKeyFile: "keys/1112223334.nk"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(ctx)

	v := client.Voice()
	v.OnAccept(func(iss, cid, callID, peerInfo string, data interface{}) {
		log.Printf("call %s is answered: %s", callID, peerInfo) // the SDP answer
	})
	v.OnStop(func(iss, cid, callID string) {
		log.Printf("call %s is over", callID)
	})
	err = v.Start("proxy", "c1", voice.NewID(), "v=0 ... the SDP offer", nil)
	// readme:end
	if err != nil {
		log.Fatal(err)
	}
}
