package main

import (
	"log/slog"

	"github.com/voicerouter/voicerouter/voice"
)

// The two sides. A real proxy looks them up by cid.
const (
	operator = "1112223334"
	customer = "1111111111"
)

// forward registers the handlers: what one side says goes to the other side.
func forward(client *voice.Client, log *slog.Logger) {
	voice := client.Voice()

	voice.OnStart(func(iss, cid, callID, peerInfo string, data interface{}) {
		check(log, voice.Start(customer, cid, callID, peerInfo, map[string]string{
			"operator_name": "Bob",
		}))
	})

	voice.OnAccept(func(iss, cid, callID, peerInfo string, data interface{}) {
		check(log, voice.Accept(operator, cid, callID, peerInfo, map[string]interface{}{}))
	})

	voice.OnStop(func(iss, cid, callID string) {
		if iss == operator {
			check(log, voice.Stop(customer, cid, callID))
		} else {
			check(log, voice.Stop(operator, cid, callID))
		}
	})

	voice.OnBusy(func(iss, cid, callID string) {
		if iss == operator {
			check(log, voice.Busy(customer, cid, callID))
		} else {
			check(log, voice.Busy(operator, cid, callID))
		}
	})
}

// check logs what could not be sent.
func check(log *slog.Logger, err error) {
	if err != nil {
		log.Error("not forwarded", "err", err)
	}
}
