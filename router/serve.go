package router

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/micro"

	"github.com/voicerouter/voicerouter/subjects"
)

// Version of the services, shown by "nats micro ls".
const serviceVersion = "1.0.0"

// maxConcurrent bounds the requests of a kind that a worker answers at once.
const maxConcurrent = 32

// services answer sync.* and router.call.*, shared among the fleet.
type services struct {
	micro micro.Service
	wg    sync.WaitGroup

	mu      sync.Mutex
	stopped bool
}

// stop ends the services after the requests that are being answered.
func (s *services) stop() {
	_ = s.micro.Stop() // goes on delivering what it has received
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.wg.Wait()
}

// spawn runs do beside others, unless the services have been stopped.
func (s *services) spawn(do func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.wg.Go(do)
	}
	return !s.stopped
}

func (r *Router) register(ctx context.Context) (*services, error) {
	service, err := micro.AddService(r.opts.Conn, micro.Config{
		Name: subjects.ServiceRouter, Version: serviceVersion,
		Description: "masked voice call router: sync of inboxes, administration of calls",
		QueueGroup:  "routers",
		Metadata:    map[string]string{metadataPriority: strconv.Itoa(r.opts.Priority)},
	})
	if err != nil {
		return nil, fmt.Errorf("router: services: %w", err)
	}
	s := &services{micro: service}
	sync := newSyncer(r)
	// Identities that ask for their inboxes must not keep the administration out.
	inboxes, calls := make(chan struct{}, maxConcurrent), make(chan struct{}, maxConcurrent)
	endpoints := []struct {
		name, subject string
		slots         chan struct{}
		handle        func(micro.Request)
	}{
		{"sync", subjects.FilterSync, inboxes, func(req micro.Request) { sync.handle(ctx, req) }},
		{"call-create", subjects.ServiceCallCreate, calls, answer(ctx, r, r.create)},
		{"call-end", subjects.ServiceCallEnd, calls, answer(ctx, r, r.end)},
		{"call-get", subjects.ServiceCallGet, calls, answer(ctx, r, r.get)},
		{"call-list", subjects.ServiceCallList, calls, answer(ctx, r, r.list)},
		{"call-verify", subjects.ServiceCallVerify, calls, answer(ctx, r, r.verifyCall)},
	}
	for _, e := range endpoints {
		if err := service.AddEndpoint(e.name, s.concurrent(e.slots, e.handle), micro.WithEndpointSubject(e.subject)); err != nil {
			s.stop()
			return nil, fmt.Errorf("router: service %s: %w", e.subject, err)
		}
	}
	return s, nil
}

// concurrent runs a handler beside others, up to a bound; beyond it requests
// wait in the subscription.
func (s *services) concurrent(slots chan struct{}, handle func(micro.Request)) micro.Handler {
	return micro.HandlerFunc(func(req micro.Request) {
		slots <- struct{}{}
		if !s.spawn(func() {
			defer func() { <-slots }()
			handle(req)
		}) {
			<-slots // whoever asked asks another worker
		}
	})
}

// answer makes a handler of a function from a request to a response.
func answer[Q, A any](ctx context.Context, r *Router, do func(context.Context, Q) (A, error)) func(micro.Request) {
	return func(req micro.Request) {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		var q Q
		var body []byte
		err := json.Unmarshal(req.Data(), &q)
		if err != nil {
			err = badRequest("request to %s: %v", req.Subject(), err)
		} else {
			var a A
			if a, err = do(ctx, q); err == nil {
				body, err = json.Marshal(a)
			}
		}
		refused, wrong := errors.AsType[*serviceError](err)
		switch {
		case err == nil:
			err = req.Respond(body)
		case wrong:
			err = refuse(req, refused.code, refused.text)
		default:
			r.log.limited("request not answered", "subject", req.Subject(), "error", err)
			err = refuse(req, ServiceFailed, "the router could not do this now, try again: "+err.Error())
		}
		if err != nil {
			r.log.limited("answer not sent", "subject", req.Subject(), "error", err)
		}
	}
}

// refuse answers as req.Error does, but for its note in the request: package micro
// reads that when its handler has returned, which here is before the answer.
func refuse(req micro.Request, code, text string) error {
	return req.Respond(nil, micro.WithHeaders(micro.Headers{micro.ErrorCodeHeader: {code}, micro.ErrorHeader: {text}}))
}
