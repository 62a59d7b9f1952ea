package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// serviceError is an answer that refuses a request.
type serviceError struct{ code, text string }

func (e *serviceError) Error() string { return e.text }

func badRequest(format string, args ...any) error {
	return &serviceError{ServiceBadRequest, fmt.Sprintf(format, args...)}
}

func notFound(cid string) error {
	return &serviceError{ServiceNotFound, fmt.Sprintf("no conversation %q, or no call has been made on it", cid)}
}

func (r *Router) create(ctx context.Context, req CreateRequest) (CreateResponse, error) {
	if !subjects.ValidCID(req.CID) {
		return CreateResponse{}, badRequest("cid %.80q: want 1 to %d characters of A-Z a-z 0-9 _ -", req.CID, subjects.MaxCID)
	}
	if _, ours := r.opts.Proxies[req.Proxy]; !ours && !req.NoSetup {
		return CreateResponse{}, badRequest("proxy %q is not one whose key this fleet holds: it cannot sign the setup", req.Proxy)
	}
	if req.TTL > 0 {
		req.ExpiresAt = r.opts.Now().UTC().Add(time.Duration(req.TTL) * time.Second).Truncate(time.Second)
	}
	data, err := req.Encode()
	if err != nil {
		return CreateResponse{}, badRequest("route: %v", err)
	}
	for _, id := range []identity.ID{req.Customer, req.Operator} {
		switch record, err := r.opts.Directory.Lookup(ctx, id); {
		case errors.Is(err, identity.ErrUnknown), err == nil && record.Revoked:
			return CreateResponse{}, badRequest("identity %s is unknown or revoked: add it with \"router identity add\"", id)
		case err != nil:
			return CreateResponse{}, err
		}
	}
	revision, err := r.putRoute(ctx, req, data)
	if err != nil {
		return CreateResponse{}, err
	}
	if !req.NoSetup {
		if err := r.sendSetup(ctx, req, revision); err != nil {
			return CreateResponse{}, err
		}
	}
	return CreateResponse{CID: req.CID, Route: req.Route, Revision: revision}, nil
}

func (r *Router) putRoute(ctx context.Context, req CreateRequest, data []byte) (uint64, error) {
	kv, err := r.js.KeyValue(ctx, subjects.BucketRoutes)
	if err != nil {
		return 0, fmt.Errorf("bucket %s: %w", subjects.BucketRoutes, err)
	}
	if req.Replace {
		return kv.Put(ctx, req.CID, data)
	}
	revision, err := kv.Create(ctx, req.CID, data)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return 0, &serviceError{ServiceExists, fmt.Sprintf("conversation %q exists already: replace it (--replace), or choose another cid", req.CID)}
	}
	return revision, err
}

// sendSetup tells the operator that the conversation exists.
func (r *Router) sendSetup(ctx context.Context, req CreateRequest, revision uint64) error {
	data, err := json.Marshal(map[string]string{"name": req.CustomerName})
	if err != nil {
		return badRequest("customer_name is not valid UTF-8")
	}
	now := r.opts.Now().UTC()
	envelope, err := outbound{opts: &r.opts}.seal(req.Proxy, signal.Message{
		Type: signal.Setup, JTI: jti(number(part(part(nil, "setup"), req.CID), revision)), Issuer: req.Proxy, Recipient: req.Operator,
		IssuedAt: now, ExpiresAt: now.Add(lifetime), CID: req.CID, Data: data,
	})
	if err != nil {
		return err
	}
	_, err = r.js.PublishMsg(ctx, &nats.Msg{Subject: subjects.Inbox(req.Operator.String(), string(signal.Setup)), Data: envelope})
	if err != nil {
		return fmt.Errorf("route stored, setup not: %w", err)
	}
	return nil
}

// end puts a forced end into the queue of the worker and waits for its commit.
func (r *Router) end(ctx context.Context, req EndRequest) (EndResponse, error) {
	state, err := r.state(ctx, req.CID)
	if err != nil {
		return EndResponse{}, err
	}
	switch {
	case state == nil:
		return EndResponse{}, notFound(req.CID)
	case !state.Live():
		return EndResponse{}, &serviceError{ServiceNotFound, fmt.Sprintf("no call is live on %q", req.CID)}
	case req.CallID != "" && req.CallID != state.CallID:
		return EndResponse{}, &serviceError{ServiceNotFound, fmt.Sprintf("the live call on %q is %s, not %s", req.CID, state.CallID, req.CallID)}
	}
	done := make(chan error, 1)
	j := &job{key: req.CID, mode: call.Masked, done: done}
	j.event = call.Event{Kind: call.ForcedEnd, CallID: state.CallID, Epoch: state.Epoch, At: r.opts.Now().UTC(), Delivery: 1}
	select {
	case r.jobs <- j:
	case <-ctx.Done():
		return EndResponse{}, ctx.Err()
	}
	select {
	case err := <-done:
		if errors.Is(err, errOver) {
			err = notFound(req.CID) // it ended by itself meanwhile
		}
		return EndResponse{CID: req.CID, CallID: state.CallID, Reason: signal.AdminTerminated}, err
	case <-ctx.Done():
		return EndResponse{}, ctx.Err()
	}
}

// state reads a call record from the leader; nil if there is none.
func (r *Router) state(ctx context.Context, cid string) (*call.State, error) {
	if !subjects.ValidKey(cid) {
		return nil, badRequest("cid %.80q: want 1 to %d characters of A-Z a-z 0-9 _ -", cid, subjects.MaxCID)
	}
	m, err := msgget.Last(ctx, r.opts.Conn, subjects.StreamOut, subjects.State(cid))
	if errors.Is(err, msgget.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	state, err := call.DecodeState(m.Data)
	if err != nil {
		return nil, err
	}
	return &state, nil
}
