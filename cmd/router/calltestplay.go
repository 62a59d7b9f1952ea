package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/voice"
)

// phone is one end of a rehearsal.
type phone struct {
	client *voice.Client
	voice  *voice.Voice
	heard  chan voice.Message
}

// play has the operator call the customer, and looks at what is left of the call.
func (r *rehearsal) play(ctx context.Context) error {
	begun := time.Now()
	operator, err := r.phone(ctx, r.operator)
	if err != nil {
		return err
	}
	defer operator.hangUp(ctx)
	customer, err := r.phone(ctx, r.customer)
	if err != nil {
		return err
	}
	defer customer.hangUp(ctx)
	r.say("connected", "both, %s", since(begun))

	proxy, callID := r.proxy.ID.String(), voice.NewID()
	for _, step := range []struct {
		typ      signal.Type
		what     string
		send     func() error
		listener *phone
	}{
		{signal.Start, "operator to customer", func() error { return operator.voice.Start(proxy, r.cid, callID, "offer", nil) }, customer},
		{signal.Accept, "customer to operator", func() error { return customer.voice.Accept(proxy, r.cid, callID, "answer", nil) }, operator},
		{signal.Stop, "operator to customer", func() error { return operator.voice.Stop(proxy, r.cid, callID) }, customer},
	} {
		begun := time.Now()
		if err := step.send(); err != nil {
			return fmt.Errorf("%s from %s: %w", step.typ, step.what, err)
		}
		if err := step.listener.expect(ctx, step.typ, callID, r.proxy.ID); err != nil {
			return fmt.Errorf("%s from %s: %w", step.typ, step.what, err)
		}
		r.say(string(step.typ), "%s, %s", step.what, since(begun))
	}
	return errors.Join(r.checkRecord(ctx, callID), r.checkMask(ctx))
}

func since(t time.Time) time.Duration { return time.Since(t).Round(100 * time.Microsecond) }

// phone connects an identity. While the auth callout service is starting the
// server refuses it.
func (r *rehearsal) phone(ctx context.Context, e extra) (*phone, error) {
	options := voice.Options{URL: r.url, SelfID: e.id.String(), NKeySeed: e.seed, NATSOptions: r.options, Logger: r.log, Unsigned: r.unsigned}
	if !r.unsigned {
		options.SigningKey = e.key
		options.Trusted = func(iss identity.ID) []identity.PublicKey {
			if iss == r.proxy.ID {
				return r.proxy.Keys
			}
			return nil
		}
	}
	p := &phone{heard: make(chan voice.Message, 16)}
	err := repeatedly(ctx, voice.ErrNotPermitted, func() (err error) {
		p.client, err = voice.Connect(ctx, options)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: does \"router auth\" run, with the keys that the server's configuration names?", err)
	}
	p.voice = p.client.Voice()
	p.voice.OnMessage(func(ctx context.Context, m voice.Message) error {
		select {
		case p.heard <- m:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return p, nil
}

func (p *phone) hangUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = p.client.Close(ctx)
}

// expect waits for the next message of the call, which must be of this type and
// from the proxy. Its signature has been verified.
func (p *phone) expect(ctx context.Context, typ signal.Type, callID string, proxy identity.ID) error {
	for {
		select {
		case m := <-p.heard:
			switch {
			case m.Type == signal.Setup:
				continue
			case m.Type == signal.Error:
				return fmt.Errorf("the router refused: %s", printable(string(m.Data)))
			case m.Type != typ || m.CallID != callID:
				return fmt.Errorf("%s arrived instead, reason %q", m.Type, m.Reason)
			case m.Issuer != proxy:
				return fmt.Errorf("it came from %s, want the proxy %s", m.Issuer, proxy)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("it was sent and did not arrive: %w", ctx.Err())
		}
	}
}

// checkRecord reads how the call stands.
func (r *rehearsal) checkRecord(ctx context.Context, callID string) error {
	answer, err := askOn[router.GetRequest, router.GetResponse](ctx, r.js.Conn(), subjects.ServiceCallGet, router.GetRequest{CID: r.cid})
	if err != nil {
		return fmt.Errorf("record of the call: %w", err)
	}
	s := answer.State
	if s == nil || s.Phase != call.Ended || s.CallID != callID || s.Reason != signal.Hangup {
		return fmt.Errorf("record of the call: want call %s ended by hangup, got %+v", callID, s)
	}
	r.say("record", "%s, %s", s.Phase, s.Reason)
	return nil
}

// checkMask looks for the name of one side in what the other can read.
func (r *rehearsal) checkMask(ctx context.Context) error {
	answer, err := askOn[router.VerifyRequest, router.VerifyResponse](ctx, r.js.Conn(), subjects.ServiceCallVerify, router.VerifyRequest{CID: r.cid})
	if err != nil {
		return fmt.Errorf("mask of the call: %w", err)
	}
	if len(answer.Findings) > 0 {
		return fmt.Errorf("mask of the call: %d places name the other side: \"router call verify %s\" lists them", len(answer.Findings), r.cid)
	}
	r.say("mask", "%d messages, none names the other side", answer.Searched)
	return nil
}
