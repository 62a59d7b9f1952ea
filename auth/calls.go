package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// maxRounds bounds the listings of one [EndCalls]: each holds up to 1000 calls.
const maxRounds = 100

// EndCalls ends every live call that names id as customer, operator or proxy, by
// the services router.call.list and router.call.end (docs/protocol.md, "Service
// API"), and returns how many it ended. Direct conversations hold nothing that
// could be ended: whoever is revoked has no further part in them. Without a router
// that runs it returns an error that wraps [nats.ErrNoResponders].
func EndCalls(ctx context.Context, nc *nats.Conn, id identity.ID) (ended int, err error) {
	for range maxRounds {
		var list struct {
			Calls []struct {
				CID    string `json:"cid"`
				CallID string `json:"call_id"`
			} `json:"calls"`
			More bool `json:"more"`
		}
		if err := call(ctx, nc, subjects.ServiceCallList, map[string]any{"identity": id.String()}, &list); err != nil {
			return ended, fmt.Errorf("auth: list the calls of %s: %w", id, err)
		}
		var errs []error
		for _, c := range list.Calls {
			err := call(ctx, nc, subjects.ServiceCallEnd, map[string]any{"cid": c.CID, "call_id": c.CallID}, nil)
			switch {
			case errors.Is(err, errNotFound): // it has ended meanwhile
			case err != nil:
				errs = append(errs, fmt.Errorf("auth: end the call on %s: %w", c.CID, err))
			default:
				ended++
			}
		}
		if len(errs) > 0 || !list.More {
			return ended, errors.Join(errs...)
		}
	}
	return ended, fmt.Errorf("auth: calls of %s still live after %d rounds", id, maxRounds)
}

// errNotFound is returned when there is no such live call.
var errNotFound = errors.New("no such call")

// call makes one request of the service API.
func call(ctx context.Context, nc *nats.Conn, subject string, req, resp any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, gatherFor)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return err
	}
	if code := m.Header.Get(micro.ErrorCodeHeader); code != "" {
		if code == "not_found" {
			return errNotFound
		}
		return fmt.Errorf("%s: %s", code, m.Header.Get(micro.ErrorHeader))
	}
	if resp == nil {
		return nil
	}
	return json.Unmarshal(m.Data, resp)
}
