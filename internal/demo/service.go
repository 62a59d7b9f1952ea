package demo

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

// request asks one of the services that the routers answer.
func (s *stage) request(ctx context.Context, subject string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	reply, err := s.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	if text := reply.Header.Get("Nats-Service-Error"); text != "" {
		return fmt.Errorf("%s: %s", subject, text)
	}
	return nil
}

// create makes a conversation between the operator and the customer.
func (s *stage) create(ctx context.Context, cid string, start call.StartSide, setup bool) error {
	return s.request(ctx, subjects.ServiceCallCreate, router.CreateRequest{CID: cid, NoSetup: !setup, Route: call.Route{
		Proxy: proxy, Customer: customer, Operator: operator,
		OperatorName: "Your bank", CustomerName: "Customer 4711", Start: start,
	}})
}

// ended reports whether the call of a conversation stands as it must.
func (s *stage) ended(ctx context.Context, cid, callID, reason string) error {
	state, err := s.state(ctx, cid)
	if err != nil {
		return err
	}
	if state.Phase != call.Ended || state.CallID != callID || string(state.Reason) != reason {
		return fmt.Errorf("record says %s %s %s, want ended %s %s", state.Phase, state.CallID, state.Reason, callID, reason)
	}
	return nil
}

func (s *stage) state(ctx context.Context, cid string) (call.State, error) {
	m, err := msgget.Last(ctx, s.nc, subjects.StreamOut, subjects.State(cid))
	if err != nil {
		return call.State{}, fmt.Errorf("record of %s: %w", cid, err)
	}
	return call.DecodeState(m.Data)
}
