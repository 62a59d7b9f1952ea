// Package voice is the SDK: it signs and sends the messages of voice calls and
// hands the incoming ones to handlers.
//
//	client, err := voice.Connect(ctx, voice.Options{URL: url, SelfID: "1112223334", SigningKey: key})
//	...
//	v := client.Voice()
//	v.OnAccept(func(iss, cid, callID, peerInfo string, data interface{}) { ... })
//	err = v.Start(proxy, cid, callID, offer, nil)
//
// Connect makes sure that the broker takes the connection for the identity
// ([ErrNotPermitted] if not). It does not wait for routers.
//
// # Sending
//
// A send returns nil when the broker has stored the message, which then reaches
// the router whatever dies. Its errors are those of this package and
// *[signal.Refusal] for what the protocol does not allow. A refusal by the router
// comes later, as a message of type error: see [Voice.OnError].
//
// # Receiving
//
// Receiving begins when the first handler is registered. Handlers of one
// conversation run one after the other in the order of the stream; different
// conversations run concurrently. Within a process no message is handed over
// twice.
//
// An endpoint (role user) listens to what the broker publishes live, and asks the
// sync service for what it missed: on connecting, on reconnecting, on a gap, and
// every 10 seconds. Nothing that was committed while a connected process was cut
// off is lost. A process that starts afresh begins 5 minutes back and is told
// nothing about calls that have ended meanwhile.
//
// An app (role app) drains a durable consumer: a message is acknowledged after
// its handler has returned. Of several processes of one app one is active, the
// others stand by and take over within seconds.
package voice
