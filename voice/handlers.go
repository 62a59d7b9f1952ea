package voice

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/signal"
)

// errPanicked marks the span of a handler that panicked.
var errPanicked = errors.New("voice: a handler panicked")

// settle is how long after the last registration a message waits for a handler
// of its type: what came in while a program still registers handlers is not lost.
const settle = time.Second

// handlers holds what a program registered. A later registration for the same
// type replaces the earlier one.
type handlers struct {
	mu      sync.Mutex
	typed   map[signal.Type]func(Message)
	whole   func(context.Context, Message) error
	changed chan struct{} // closed, and replaced, by every registration
	last    time.Time     // of the last registration
}

func newHandlers() handlers {
	return handlers{typed: map[signal.Type]func(Message){}, changed: make(chan struct{})}
}

// OnMessage registers a handler for whole messages of every type. It runs before
// the handler of the message's type, if there is one; register it after those.
// ctx ends when [Client.Close] gives up waiting. An error is logged, the handler of
// the type is not called, and an app gets the message again.
func (v *Voice) OnMessage(handler func(ctx context.Context, m Message) error) {
	v.register(func(h *handlers) { h.whole = handler })
}

// OnSetup registers a handler for conversations that are announced; data holds
// the member "name".
func (v *Voice) OnSetup(handler func(iss, cid string, data interface{})) {
	v.on(signal.Setup, func(m Message) { handler(m.Issuer.String(), m.CID, value(m)) })
}

// OnStart registers a handler for incoming calls. data is what the JSON object
// decodes to, map[string]interface{}, or nil.
func (v *Voice) OnStart(handler func(iss, cid, callID, peerInfo string, data interface{})) {
	v.on(signal.Start, full(handler))
}

// OnRinging registers a handler for calls that ring at the other side.
func (v *Voice) OnRinging(handler func(iss, cid, callID string)) {
	v.on(signal.Ringing, short(handler))
}

// OnAccept registers a handler for calls that the other side answers.
func (v *Voice) OnAccept(handler func(iss, cid, callID, peerInfo string, data interface{})) {
	v.on(signal.Accept, full(handler))
}

// OnBusy registers a handler for calls that the other side refuses as busy.
func (v *Voice) OnBusy(handler func(iss, cid, callID string)) {
	v.on(signal.Busy, short(handler))
}

// OnStop registers a handler for calls that end. The reason is in the whole
// message: see [Voice.OnMessage].
func (v *Voice) OnStop(handler func(iss, cid, callID string)) {
	v.on(signal.Stop, short(handler))
}

// OnCandidate registers a handler for trickled ICE candidates.
func (v *Voice) OnCandidate(handler func(iss, cid, callID, candidate string)) {
	v.on(signal.Candidate, func(m Message) { handler(m.Issuer.String(), m.CID, m.CallID, m.PeerInfo) })
}

// OnUpdate registers a handler for renegotiations of active calls.
func (v *Voice) OnUpdate(handler func(iss, cid, callID, peerInfo string, data interface{})) {
	v.on(signal.Update, full(handler))
}

// OnSummary registers a handler for summaries of ended calls.
func (v *Voice) OnSummary(handler func(iss, cid, callID string)) {
	v.on(signal.Summary, short(handler))
}

// OnError registers a handler for refusals by the router. fault.Ref is the jti of
// the message that was refused; callID may be empty. Without a handler they are
// logged.
//
// A process that starts afresh may be told again what was refused in the last 5
// minutes, before it started: compare callID, or fault.Ref with the JTI given to
// [Voice.Send], with what this process has sent.
func (v *Voice) OnError(handler func(iss, cid, callID string, fault signal.Fault)) {
	v.on(signal.Error, func(m Message) {
		fault, _ := m.Fault()
		handler(m.Issuer.String(), m.CID, m.CallID, fault)
	})
}

func full(handler func(iss, cid, callID, peerInfo string, data interface{})) func(Message) {
	return func(m Message) { handler(m.Issuer.String(), m.CID, m.CallID, m.PeerInfo, value(m)) }
}

func short(handler func(iss, cid, callID string)) func(Message) {
	return func(m Message) { handler(m.Issuer.String(), m.CID, m.CallID) }
}

// value decodes data for handlers that want a plain value.
func value(m Message) interface{} {
	if m.Data == nil {
		return nil
	}
	var v interface{}
	if json.Unmarshal(m.Data, &v) != nil { // it has been through a parser before
		return nil
	}
	return v
}

func (v *Voice) on(typ signal.Type, handler func(Message)) {
	v.register(func(h *handlers) { h.typed[typ] = handler })
}

func (v *Voice) register(change func(*handlers)) {
	v.mu.Lock()
	change(&v.handlers)
	v.last = time.Now()
	close(v.changed)
	v.changed = make(chan struct{})
	v.mu.Unlock()
	v.c.receive()
}

// find returns the handlers of a type. If there are none it waits until one is
// registered or the registrations have settled.
func (h *handlers) find(ctx context.Context, typ signal.Type) (typed func(Message), whole func(context.Context, Message) error) {
	for {
		h.mu.Lock()
		typed, whole = h.typed[typ], h.whole
		changed, wait := h.changed, time.Until(h.last.Add(settle))
		h.mu.Unlock()
		if typed != nil || whole != nil || wait <= 0 {
			return typed, whole
		}
		select {
		case <-changed:
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// handle hands m over. Its error is that of the OnMessage handler, or errDropped.
func (v *Voice) handle(ctx context.Context, m Message) (err error) {
	typed, whole := v.find(ctx, m.Type)
	if typed == nil && whole == nil {
		if ctx.Err() != nil {
			return errDropped
		}
		v.unhandled(m)
		return nil
	}
	ctx, end := v.c.spans.handle(ctx, m)
	defer func() { end(err) }()
	defer func() {
		if p := recover(); p != nil {
			// A panic is a fault of the program: the message would cause it again.
			v.c.log.Error("a handler panicked", "type", m.Type, "seq", m.Seq, "panic", describe(p), "stack", string(debug.Stack()))
			end(errPanicked)
			err = nil
		}
	}()
	if whole != nil {
		if err := whole(ctx, m); err != nil {
			v.c.log.Warn("a handler returned an error", "type", m.Type, "seq", m.Seq, "err", err)
			return err
		}
	}
	if typed != nil {
		typed(m)
	}
	return nil
}

func (v *Voice) unhandled(m Message) {
	if fault, ok := m.Fault(); ok {
		v.c.log.Warn("the router refused a message", "code", fault.Code, "detail", fault.Detail, "ref", fault.Ref)
		return
	}
	v.c.log.Debug("no handler for a message", "type", m.Type, "seq", m.Seq)
}

// describe says what a panic was without quoting what a message may have said.
func describe(p any) string {
	if fault, ok := p.(runtime.Error); ok {
		return fault.Error()
	}
	return fmt.Sprintf("a value of type %T", p)
}
