package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/subjects"
)

// Of the listing of connections.
const (
	pageSize  = 1024
	fewUsers  = 8                      // up to so many are asked for one by one
	gatherFor = 2 * time.Second        // for the first server to answer
	idleFor   = 300 * time.Millisecond // for the next one
)

// connection is one of those that a server lists (CONNZ).
type connection struct {
	ID    uint64    `json:"cid"`
	Start time.Time `json:"start"`
	User  string    `json:"authorized_user"`
}

type connectionsRequest struct {
	Auth   bool   `json:"auth"`
	User   string `json:"user,omitzero"`
	Offset int    `json:"offset,omitzero"`
	Limit  int    `json:"limit"`
}

type connectionsResponse struct {
	Server struct {
		ID string `json:"id"`
	} `json:"server"`
	Data struct {
		Connections []connection `json:"connections"`
	} `json:"data"`
	Error *serverError `json:"error"`
}

type serverError struct {
	Code        int    `json:"code"`
	Description string `json:"description"`
}

func (e *serverError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.Code) }

// cut closes the outdated connections and every connection of the account VOICE
// that was opened by one of these users before the user's time.
func (e *enforcer) cut(ctx context.Context, before map[string]time.Time, outdated []admission) error {
	var errs []error
	for _, o := range outdated {
		errs = append(errs, e.kick(ctx, o.server, connection{ID: o.connection, User: o.id.String()}))
	}
	kick := func(server string, c connection) error {
		if at, ours := before[c.User]; !ours || !c.Start.Before(at) {
			return nil
		}
		return e.kick(ctx, server, c)
	}
	if len(before) > fewUsers {
		return errors.Join(append(errs, e.connections(ctx, "", kick))...)
	}
	listed := make(chan error, len(before))
	for user := range before { // side by side: each waits for servers that may not exist
		go func() { listed <- e.connections(ctx, user, kick) }()
	}
	for range before {
		errs = append(errs, <-listed)
	}
	return errors.Join(errs...)
}

// connections calls found with every connection in VOICE of a user, "" for all,
// on all servers.
func (e *enforcer) connections(ctx context.Context, user string, found func(server string, c connection) error) error {
	for offset := 0; ; offset += pageSize {
		more, err := e.page(ctx, connectionsRequest{Auth: true, User: user, Offset: offset, Limit: pageSize}, found)
		if err != nil {
			return fmt.Errorf("auth: list connections: %w", err)
		}
		if !more {
			return nil
		}
	}
}

// page asks every server for one page; more says that a server has filled it. How
// many servers there are nobody knows: it waits until no further one answers.
func (e *enforcer) page(ctx context.Context, req connectionsRequest, found func(string, connection) error) (more bool, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return false, err
	}
	inbox := e.nc.NewRespInbox()
	sub, err := e.nc.SubscribeSync(inbox)
	if err != nil {
		return false, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := e.nc.PublishRequest(subjects.RequestVoiceConnections, inbox, body); err != nil {
		return false, err
	}
	var errs []error
	for wait, answers := gatherFor, 0; ; wait, answers = idleFor, answers+1 {
		m, err := next(ctx, sub, wait)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && answers > 0 {
			return more, errors.Join(errs...)
		}
		if err != nil {
			return false, err
		}
		var resp connectionsResponse
		if err := json.Unmarshal(m.Data, &resp); err != nil {
			return false, err
		}
		if resp.Error != nil {
			errs = append(errs, resp.Error)
		}
		more = more || len(resp.Data.Connections) == req.Limit
		for _, c := range resp.Data.Connections {
			if err := found(resp.Server.ID, c); err != nil {
				errs = append(errs, err)
			}
		}
	}
}

func next(ctx context.Context, sub *nats.Subscription, wait time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	m, err := sub.NextMsgWithContext(ctx)
	if err == nil && len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return nil, nats.ErrNoResponders
	}
	return m, err
}

// kick closes one connection of a server. That it is gone already is no error.
func (e *enforcer) kick(ctx context.Context, server string, c connection) error {
	body, err := json.Marshal(struct {
		CID uint64 `json:"cid"`
	}{c.ID})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, gatherFor)
	defer cancel()
	m, err := e.nc.RequestWithContext(ctx, subjects.RequestKick(server), body)
	if err != nil {
		return fmt.Errorf("auth: close connection %d of server %s: %w", c.ID, server, err)
	}
	var resp struct {
		Error *serverError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &resp); err != nil {
		return fmt.Errorf("auth: close connection %d of server %s: %w", c.ID, server, err)
	}
	if resp.Error == nil {
		e.metrics.kicked.Inc()
		e.log.Info("connection cut: its identity has changed", "identity", c.User, "server", server, "connection", c.ID)
	}
	return nil
}
