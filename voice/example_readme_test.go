package voice_test

// readme:begin
import (
	"context"
	"log"
	"os"
	ossignal "os/signal"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

func main() {
	ctx, stop := ossignal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	key, err := identity.ReadPrivateKey("dev/keys/1112223334.jwk")
	if err != nil {
		log.Fatal(err)
	}
	client, err := voice.Connect(ctx, voice.Options{SelfID: "1112223334", SigningKey: key, NKeyFile: "dev/keys/1112223334.nk"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close(context.Background())

	v := client.Voice()
	v.OnAccept(func(iss, cid, callID, peerInfo string, data interface{}) {
		log.Printf("call %s is answered: %s", callID, peerInfo) // the SDP answer
	})
	v.OnStop(func(iss, cid, callID string) {
		log.Printf("call %s is over", callID)
	})
	v.OnError(func(iss, cid, callID string, fault signal.Fault) {
		log.Printf("call %s: the router refused: %s: %s", callID, fault.Code, fault.Detail)
	})
	callID := voice.NewID()
	if err := v.Start("proxy", "c1", callID, "v=0 ... the SDP offer", nil); err != nil {
		log.Fatal(err)
	}
	log.Printf("call %s is on its way", callID)
	<-ctx.Done() // until it is interrupted
}

// readme:end

// The operator's side of a call, as the README shows it.
func Example_readme() { main() }
