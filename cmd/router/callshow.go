package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

func newCallGetCommand(t *target) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "get <cid>", Short: "Show the route and the current call of a conversation", Args: arguments("cid"),
		Example: "  router call get c1\n  router call get c1 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := ask[router.GetRequest, router.GetResponse](cmd, t, subjects.ServiceCallGet, router.GetRequest{CID: args[0]})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			return printCall(cmd.OutOrStdout(), answer)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printCall(out io.Writer, a router.GetResponse) error {
	rows := [][]string{{"conversation", a.CID}}
	if r := a.Route; r != nil {
		rows = append(rows, []string{"proxy", r.Proxy.String()}, []string{"customer", named(r.Customer.String(), r.CustomerName)},
			[]string{"operator", named(r.Operator.String(), r.OperatorName)}, []string{"may start", string(r.Start)},
			[]string{"data allowed", strings.Join(r.DataAllow, " ")}, []string{"expires", timeOrDash(r.ExpiresAt)})
	}
	if s := a.State; s != nil {
		rows = append(rows, []string{"mode", string(s.Mode)}, []string{"state", string(s.Phase)}, []string{"call", s.CallID},
			[]string{"caller", s.Caller.String()}, []string{"answered by", s.Winner}, []string{"reason", string(s.Reason)},
			[]string{"ended by", s.EndedBy.String()}, []string{"started", timeOrDash(s.StartedAt)},
			[]string{"answered", timeOrDash(s.AnsweredAt)}, []string{"ended", timeOrDash(s.EndedAt)}, []string{"deadline", timeOrDash(s.Deadline)})
	}
	return table(out, rows[0], rows[1:])
}

func named(id, name string) string {
	if name == "" {
		return id
	}
	return id + " (" + name + ")"
}

// maxListed is the most that a router answers with.
const maxListed = 1000

func newCallListCommand(t *target) *cobra.Command {
	var request router.ListRequest
	var since time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List live calls", Args: arguments(),
		Example: "  router call list\n  router call list --all --since 2h --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := onlyWith(cmd.Flags(), []string{"all"}, "since"); err != nil {
				return err
			}
			if since <= 0 || since%time.Second != 0 {
				return usagef("--since %s: want a positive number of whole seconds, such as 90s or 2h", since)
			}
			if request.Limit < 1 || request.Limit > maxListed {
				return usagef("--limit %d: want 1 to %d", request.Limit, maxListed)
			}
			request.Since = int64(since / time.Second)
			answer, err := ask[router.ListRequest, router.ListResponse](cmd, t, subjects.ServiceCallList, request)
			if err != nil {
				return err
			}
			return printCalls(cmd, answer, asJSON)
		},
	}
	f := c.Flags()
	f.BoolVar(&request.All, "all", false, "include conversations whose last call has ended")
	f.DurationVar(&since, "since", time.Hour, "with --all: that changed in this time")
	f.IntVar(&request.Limit, "limit", maxListed, "how many at most, 1 to 1000")
	f.BoolVar(&asJSON, "json", false, "print a line of JSON for each")
	return c
}

func printCalls(cmd *cobra.Command, answer router.ListResponse, asJSON bool) error {
	var rows [][]string
	for _, c := range answer.Calls {
		if asJSON {
			if err := printJSON(cmd.OutOrStdout(), c); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{c.CID, c.CallID, string(c.Phase), string(c.Reason), timeOrDash(c.StartedAt), timeOrDash(c.EndedAt)})
	}
	if answer.More {
		fmt.Fprintln(cmd.ErrOrStderr(), "router: there are more: see --limit and --since")
	}
	if asJSON {
		return nil
	}
	return table(cmd.OutOrStdout(), []string{"CID", "CALL", "STATE", "REASON", "STARTED", "ENDED"}, rows)
}

func newCallTimelineCommand(t *target) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "timeline <cid>", Short: "Show everything that happened on a conversation", Args: arguments("cid"),
		Long: `Prints every version of the call record: what was applied, who sent it, and what
the call became. A code says why something was refused.`,
		Example: "  router call timeline c1\n  router call timeline c1 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			request := router.GetRequest{CID: args[0], History: true}
			answer, err := ask[router.GetRequest, router.GetResponse](cmd, t, subjects.ServiceCallGet, request)
			if err != nil {
				return err
			}
			return printTimeline(cmd.OutOrStdout(), answer.History, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each event")
	return c
}

func printTimeline(out io.Writer, history []router.HistoryRecord, asJSON bool) error {
	var rows [][]string
	for _, h := range history {
		if asJSON {
			if err := printJSON(out, h); err != nil {
				return err
			}
			continue
		}
		s, last := h.State, h.State.Last
		from := last.From.String()
		if last.Party != "" {
			from += "/" + last.Party
		}
		rows = append(rows, []string{timeOrDash(h.Time), last.Type, from, last.CallID, string(s.Phase), string(s.Reason), string(last.Code)})
	}
	if asJSON {
		return nil
	}
	return table(out, []string{"TIME", "EVENT", "FROM", "CALL", "STATE", "REASON", "REFUSED"}, rows)
}
