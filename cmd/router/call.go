package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

func newCallCommand() *cobra.Command {
	var t target
	c := group("call", "Create, show and end conversations",
		"  router call create --cid c1 --proxy proxy --customer 1111111111 --operator 1112223334\n  router call timeline c1",
		newCallCreateCommand(&t), newCallGetCommand(&t), newCallListCommand(&t), newCallEndCommand(&t), newCallTimelineCommand(&t),
		newCallVerifyCommand(&t), newCallTestCommand(&t))
	c.Long = `Conversations are created, read and ended by the routers: these commands ask
them. They need a running router and a credential that may ask (backend).`
	t.flags(c.PersistentFlags())
	return c
}

// ask sends a request to a service of the routers and decodes the answer.
func ask[Q, A any](cmd *cobra.Command, t *target, subject string, request Q) (answer A, err error) {
	err = t.session(cmd, func(ctx context.Context, nc *nats.Conn) error {
		answer, err = askOn[Q, A](ctx, nc, subject, request)
		return err
	})
	return answer, err
}

// serviceError is a refusal by one of the routers' services.
type serviceError struct{ code, text string }

func (e *serviceError) Error() string { return e.code + ": " + e.text }

// askOn is ask on a connection that exists.
func askOn[Q, A any](ctx context.Context, nc *nats.Conn, subject string, request Q) (answer A, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return answer, usageError{err}
	}
	var reply *nats.Msg
	err = patiently(ctx, func() (err error) {
		reply, err = nc.RequestWithContext(ctx, subject, body)
		return err
	})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return answer, fmt.Errorf("%s: %w: no router answers at %s: is one running, and is this credential one of its account?", subject, err, nc.ConnectedUrlRedacted())
	case err != nil:
		return answer, fmt.Errorf("%s: %w", subject, err)
	}
	if text := reply.Header.Get(micro.ErrorHeader); text != "" {
		return answer, &serviceError{reply.Header.Get(micro.ErrorCodeHeader), text}
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return answer, fmt.Errorf("%s: the answer cannot be read: %w", subject, err)
	}
	return answer, nil
}

// newConversation is what "call create" is to create.
type newConversation struct {
	cid, proxy, customer, operator string
	operatorName, customerName     string
	start                          string
	dataAllow                      []string
	ttl                            time.Duration
	maskCallID                     bool
	noSetup, replace, asJSON       bool
}

func newCallCreateCommand(t *target) *cobra.Command {
	var n newConversation
	c := &cobra.Command{
		Use: "create", Short: "Create a conversation between a customer and an operator", Args: arguments(),
		Long: `Stores the route of a new conversation and tells the operator with a setup
message, signed by the proxy. Without --cid one is drawn and printed.`,
		Example: `  router call create --cid c1 --proxy proxy --customer 1111111111 --operator 1112223334
  router call create --proxy proxy --customer 1111111111 --operator 1112223334 --operator-name Bob --start both --ttl 24h`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := n.request()
			if err != nil {
				return err
			}
			answer, err := ask[router.CreateRequest, router.CreateResponse](cmd, t, subjects.ServiceCallCreate, request)
			if err != nil {
				return err
			}
			if n.asJSON {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "conversation %s created\n", answer.CID)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&n.cid, "cid", "", "conversation id (default: a random one)")
	f.StringVar(&n.proxy, "proxy", "", "app on whose behalf the routers act (required)")
	f.StringVar(&n.customer, "customer", "", "identity of the customer (required)")
	f.StringVar(&n.operator, "operator", "", "identity of the operator (required)")
	f.StringVar(&n.operatorName, "operator-name", "", "what the customer is shown instead of the operator's identity")
	f.StringVar(&n.customerName, "customer-name", "", "what the operator is shown instead of the customer's identity")
	f.StringVar(&n.start, "start", string(call.StartOperator), "who may start calls: operator or both")
	f.StringSliceVar(&n.dataAllow, "data-allow", nil, "keys of data that pass the mask besides media")
	f.BoolVar(&n.maskCallID, "mask-call-id", false, "show each side another call_id than the one that the other side chose")
	f.DurationVar(&n.ttl, "ttl", 0, "how long new calls are allowed, whole seconds (default: for ever)")
	f.BoolVar(&n.noSetup, "no-setup", false, "do not tell the operator")
	f.BoolVar(&n.replace, "replace", false, "replace the route of a conversation that exists")
	f.BoolVar(&n.asJSON, "json", false, "print JSON")
	return c
}

// request checks the flags, all at once.
func (n *newConversation) request() (router.CreateRequest, error) {
	var errs []error
	id := func(flag, value string) identity.ID {
		if value == "" {
			errs = append(errs, fmt.Errorf("--%s is missing", flag))
			return identity.ID{}
		}
		parsed, err := identity.ParseID(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
		}
		return parsed
	}
	if n.cid == "" {
		n.cid = strings.ToLower(rand.Text())
	}
	if !subjects.ValidCID(n.cid) {
		errs = append(errs, fmt.Errorf("--cid %.140q: want 1 to %d characters of A-Z a-z 0-9 _ -", n.cid, subjects.MaxCID))
	}
	if n.ttl < 0 || n.ttl%time.Second != 0 {
		errs = append(errs, fmt.Errorf("--ttl %s: want whole seconds", n.ttl))
	}
	if s := call.StartSide(n.start); s != call.StartOperator && s != call.StartBoth {
		errs = append(errs, fmt.Errorf("--start %.16q: want operator or both", n.start))
	}
	request := router.CreateRequest{
		CID: n.cid,
		Route: call.Route{
			Proxy: id("proxy", n.proxy), Customer: id("customer", n.customer), Operator: id("operator", n.operator),
			OperatorName: n.operatorName, CustomerName: n.customerName,
			Start: call.StartSide(n.start), DataAllow: n.dataAllow, MaskCallID: n.maskCallID,
		},
		TTL: int64(n.ttl / time.Second), NoSetup: n.noSetup, Replace: n.replace,
	}
	if err := errors.Join(errs...); err != nil {
		return request, usageError{err}
	}
	return request, nil
}

func newCallEndCommand(t *target) *cobra.Command {
	var callID string
	var asJSON bool
	c := &cobra.Command{
		Use: "end <cid>", Short: "End the current call of a conversation, for both sides", Args: arguments("cid"),
		Example: "  router call end c1\n  router call end c1 --call-id 4f2a",
		RunE: func(cmd *cobra.Command, args []string) error {
			request := router.EndRequest{CID: args[0], CallID: callID}
			answer, err := ask[router.EndRequest, router.EndResponse](cmd, t, subjects.ServiceCallEnd, request)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "call %s on %s ended: %s\n", printable(answer.CallID), answer.CID, answer.Reason)
			return err
		},
	}
	c.Flags().StringVar(&callID, "call-id", "", "end only this call")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
