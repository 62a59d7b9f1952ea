package demo

import (
	"context"
	"fmt"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// scenario is one scene of the play: it returns nil only if it ended as it must.
type scenario struct {
	cid, title string
	play       func(context.Context, *cast, string) error
}

func scenarios() []scenario {
	return []scenario{
		{"full", "a full call: setup, start, ringing, accept, candidates both ways, stop", fullCall},
		{"busy", "the customer is busy", busy},
		{"cancelled", "the operator gives up while it rings", cancelled},
		{"unanswered", "nobody answers: the ring timer ends the call", unanswered},
		{"two-devices", "two devices ring, one answers", twoDevices},
		{"glare", "both call at once: the lesser call_id survives", glare},
		{"legacy", "a legacy client that knows only the six upstream types", legacy},
		{"stranger", "a stranger who knows the conversation tries to interfere", intruder},
		{"killed", "a worker is killed in the middle of a call", workerKilled},
	}
}

// cast is everybody who plays.
type cast struct {
	*stage
	note                    func(string)
	operator, phone, tablet *device
}

// firstCall is the call_id of most scenes.
const firstCall = "call-1"

// to is where everybody sends: the proxy.
var to = proxy.String()

func (c *cast) start(cid, callID string) func() error {
	return func() error {
		return c.operator.voice.Start(to, cid, callID, offer, map[string]string{"media": "audio"})
	}
}

// rings lets devices hear the start and say that they ring.
func (c *cast) rings(ctx context.Context, cid string, devices ...*device) func() error {
	return func() error {
		for _, d := range devices {
			m, err := d.expect(ctx, cid, signal.Start, firstCall)
			if err != nil {
				return err
			}
			if m.Issuer != proxy || m.PeerInfo != offer {
				return fmt.Errorf("start came from %s with %d bytes of SDP, want %s and %d", m.Issuer, len(m.PeerInfo), proxy, len(offer))
			}
			if err := d.voice.Ringing(to, cid, firstCall); err != nil {
				return err
			}
		}
		return c.operator.hears(ctx, cid, signal.Ringing, firstCall)()
	}
}

func (d *device) hears(ctx context.Context, cid string, typ signal.Type, callID string) func() error {
	return func() error {
		_, err := d.expect(ctx, cid, typ, callID)
		return err
	}
}

func (d *device) stops(ctx context.Context, cid, callID string, reason signal.Reason) func() error {
	return func() error { return d.expectStop(ctx, cid, callID, reason) }
}

// answers lets a device accept and the operator hear it.
func (c *cast) answers(ctx context.Context, cid string, d *device) func() error {
	return func() error {
		if err := d.voice.Accept(to, cid, firstCall, answer, nil); err != nil {
			return err
		}
		return c.operator.hears(ctx, cid, signal.Accept, firstCall)()
	}
}

// hangsUp lets the operator end the call and a device hear it.
func (c *cast) hangsUp(ctx context.Context, cid, callID string, d *device) func() error {
	return func() error {
		if err := c.operator.voice.Stop(to, cid, callID); err != nil {
			return err
		}
		return d.expectStop(ctx, cid, callID, signal.Hangup)
	}
}

func (c *cast) is(ctx context.Context, cid, callID string, reason signal.Reason) func() error {
	return func() error { return c.ended(ctx, cid, callID, string(reason)) }
}

func fullCall(ctx context.Context, c *cast, cid string) error {
	return steps(
		func() error { return c.create(ctx, cid, call.StartOperator, true) },
		c.operator.hears(ctx, cid, signal.Setup, ""),
		c.start(cid, firstCall),
		c.rings(ctx, cid, c.phone),
		c.answers(ctx, cid, c.phone),
		func() error { return c.operator.voice.Candidate(to, cid, firstCall, candidate) },
		c.phone.hears(ctx, cid, signal.Candidate, firstCall),
		func() error { return c.phone.voice.Candidate(to, cid, firstCall, candidate) },
		c.operator.hears(ctx, cid, signal.Candidate, firstCall),
		c.hangsUp(ctx, cid, firstCall, c.phone),
		c.is(ctx, cid, firstCall, signal.Hangup),
	)
}

func busy(ctx context.Context, c *cast, cid string) error {
	return steps(
		func() error { return c.create(ctx, cid, call.StartOperator, false) },
		c.start(cid, firstCall),
		c.rings(ctx, cid, c.phone),
		func() error { return c.phone.voice.Busy(to, cid, firstCall) },
		c.operator.hears(ctx, cid, signal.Busy, firstCall),
		c.is(ctx, cid, firstCall, signal.BusyHere),
	)
}

func cancelled(ctx context.Context, c *cast, cid string) error {
	return steps(
		func() error { return c.create(ctx, cid, call.StartOperator, false) },
		c.start(cid, firstCall),
		c.rings(ctx, cid, c.phone),
		func() error { return c.operator.voice.Stop(to, cid, firstCall) },
		c.phone.stops(ctx, cid, firstCall, signal.Cancelled),
		c.is(ctx, cid, firstCall, signal.Cancelled),
	)
}

func unanswered(ctx context.Context, c *cast, cid string) error {
	return steps(
		func() error { return c.create(ctx, cid, call.StartOperator, false) },
		c.start(cid, firstCall),
		c.rings(ctx, cid, c.phone),
		c.operator.stops(ctx, cid, firstCall, signal.NoAnswer),
		c.phone.stops(ctx, cid, firstCall, signal.NoAnswer),
		c.is(ctx, cid, firstCall, signal.NoAnswer),
	)
}

func twoDevices(ctx context.Context, c *cast, cid string) error {
	return steps(
		func() error { return c.create(ctx, cid, call.StartOperator, false) },
		c.start(cid, firstCall),
		c.rings(ctx, cid, c.phone, c.tablet),
		c.answers(ctx, cid, c.phone),
		c.tablet.stops(ctx, cid, firstCall, signal.AnsweredElsewhere),
		func() error { return c.phone.voice.Stop(to, cid, firstCall) },
		c.operator.stops(ctx, cid, firstCall, signal.Hangup),
		c.is(ctx, cid, firstCall, signal.Hangup),
	)
}

func glare(ctx context.Context, c *cast, cid string) error {
	return steps(
		func() error { return c.create(ctx, cid, call.StartBoth, false) },
		c.start(cid, "call-b"),
		c.phone.hears(ctx, cid, signal.Start, "call-b"),
		func() error { return c.phone.voice.Start(to, cid, "call-a", offer, nil) },
		c.operator.stops(ctx, cid, "call-b", signal.Glare),
		c.phone.stops(ctx, cid, "call-b", signal.Glare),
		c.operator.hears(ctx, cid, signal.Start, "call-a"),
		func() error { return c.operator.voice.Accept(to, cid, "call-a", answer, nil) },
		c.phone.hears(ctx, cid, signal.Accept, "call-a"),
		c.hangsUp(ctx, cid, "call-a", c.phone),
		c.is(ctx, cid, "call-a", signal.Hangup),
	)
}

func legacy(ctx context.Context, c *cast, cid string) error {
	c.phone.close()
	old, err := c.device(ctx, customer, "", signal.Setup, signal.Start, signal.Accept, signal.Busy, signal.Stop, signal.Summary)
	if err != nil {
		return err
	}
	defer old.close()
	return steps(
		func() error { return c.create(ctx, cid, call.StartBoth, false) },
		func() error { return old.voice.Start(to, cid, firstCall, offer, nil) },
		c.operator.hears(ctx, cid, signal.Start, firstCall),
		func() error { return c.operator.voice.Accept(to, cid, firstCall, answer, nil) },
		old.hears(ctx, cid, signal.Accept, firstCall),
		// A second call while the first is up: it understands no error, only stop.
		func() error { return old.voice.Start(to, cid, "call-2", offer, nil) },
		old.stops(ctx, cid, "call-2", signal.Failed),
		func() error { return old.voice.Stop(to, cid, firstCall) },
		c.operator.stops(ctx, cid, firstCall, signal.Hangup),
		c.is(ctx, cid, firstCall, signal.Hangup),
	)
}

func intruder(ctx context.Context, c *cast, cid string) error {
	x, err := c.device(ctx, stranger, "")
	if err != nil {
		return err
	}
	defer x.close()
	return steps(
		func() error { return c.create(ctx, cid, call.StartOperator, false) },
		c.start(cid, firstCall),
		c.rings(ctx, cid, c.tablet),
		c.answers(ctx, cid, c.tablet),
		func() error { return x.voice.Stop(to, cid, firstCall) },
		x.hears(ctx, cid, signal.Error, firstCall),
		func() error { return x.voice.Accept(to, cid, firstCall, answer, nil) },
		x.hears(ctx, cid, signal.Error, firstCall),
		func() error { return x.voice.Start(to, cid, "call-9", offer, nil) },
		x.hears(ctx, cid, signal.Error, "call-9"),
		func() error { return c.tablet.silent(cid) },
		func() error { return c.operator.silent(cid) },
		c.hangsUp(ctx, cid, firstCall, c.tablet),
		c.is(ctx, cid, firstCall, signal.Hangup),
	)
}

// inFlight is how many candidates are on their way when the worker dies.
const inFlight = 10

func workerKilled(ctx context.Context, c *cast, cid string) error {
	return steps(
		func() error { return c.create(ctx, cid, call.StartOperator, false) },
		c.start(cid, firstCall),
		c.rings(ctx, cid, c.tablet),
		c.answers(ctx, cid, c.tablet),
		func() error { return c.trickleAndKill(cid) },
		func() error { return c.hearsEachOnce(ctx, cid) },
		c.hangsUp(ctx, cid, firstCall, c.tablet),
		func() error { return c.operator.silent(cid) },
		c.is(ctx, cid, firstCall, signal.Hangup),
	)
}

// trickleAndKill sends candidates one behind the other. The first worker, which
// takes all messages while it lives, dies half way.
func (c *cast) trickleAndKill(cid string) error {
	for i := range inFlight {
		if i == inFlight/2 {
			c.note("       (the worker that serves this call is killed)")
			go c.workers[0].kill()
		}
		if err := c.tablet.voice.Candidate(to, cid, firstCall, fmt.Sprint(candidate, " network-id ", i)); err != nil {
			return err
		}
	}
	return nil
}

// hearsEachOnce waits for every candidate; in any order, but none twice.
func (c *cast) hearsEachOnce(ctx context.Context, cid string) error {
	heard := map[string]bool{}
	for range inFlight {
		m, err := c.operator.expect(ctx, cid, signal.Candidate, firstCall)
		if err != nil {
			return err
		}
		if heard[m.PeerInfo] {
			return fmt.Errorf("the operator heard a candidate twice: %s", m.PeerInfo)
		}
		heard[m.PeerInfo] = true
	}
	return nil
}
