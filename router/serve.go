package router

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/micro"

	"github.com/voicerouter/voicerouter/subjects"
)

// Version of the services, shown by "nats micro ls".
const serviceVersion = "1.0.0"

// maxConcurrent bounds the requests that a worker answers at once.
const maxConcurrent = 32

// services answer sync.* and router.call.*, shared among the fleet.
type services struct {
	micro micro.Service
	slots chan struct{}
	wg    sync.WaitGroup
	once  sync.Once
}

// stop ends the services after the requests that are being answered.
func (s *services) stop() {
	s.once.Do(func() {
		_ = s.micro.Stop()
		s.wg.Wait()
	})
}

func (r *Router) serve(ctx context.Context) (*services, error) {
	service, err := micro.AddService(r.opts.Conn, micro.Config{
		Name: "voice-router", Version: serviceVersion,
		Description: "masked voice call router: sync of inboxes, administration of calls",
		QueueGroup:  "routers",
	})
	if err != nil {
		return nil, fmt.Errorf("router: services: %w", err)
	}
	s := &services{micro: service, slots: make(chan struct{}, maxConcurrent)}
	sync := &syncer{r: r}
	endpoints := []struct {
		name, subject string
		handle        func(micro.Request)
	}{
		{"sync", subjects.FilterSync, func(req micro.Request) { sync.handle(ctx, req) }},
		{"call-create", subjects.ServiceCallCreate, answer(ctx, r, r.create)},
		{"call-end", subjects.ServiceCallEnd, answer(ctx, r, r.end)},
		{"call-get", subjects.ServiceCallGet, answer(ctx, r, r.get)},
		{"call-list", subjects.ServiceCallList, answer(ctx, r, r.list)},
	}
	for _, e := range endpoints {
		if err := service.AddEndpoint(e.name, s.concurrent(e.handle), micro.WithEndpointSubject(e.subject)); err != nil {
			s.stop()
			return nil, fmt.Errorf("router: service %s: %w", e.subject, err)
		}
	}
	return s, nil
}

// concurrent runs a handler beside others, up to a bound; beyond it requests
// wait in the subscription.
func (s *services) concurrent(handle func(micro.Request)) micro.Handler {
	return micro.HandlerFunc(func(req micro.Request) {
		s.slots <- struct{}{}
		s.wg.Go(func() {
			defer func() { <-s.slots }()
			handle(req)
		})
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
			err = req.Error(refused.code, refused.text, nil)
		default:
			r.log.limited("request not answered", "subject", req.Subject(), "error", err)
			err = req.Error(ServiceFailed, "the router could not do this now, try again: "+err.Error(), nil)
		}
		if err != nil {
			r.log.limited("answer not sent", "subject", req.Subject(), "error", err)
		}
	}
}
