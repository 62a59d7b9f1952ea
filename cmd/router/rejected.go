package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func newRejectedCommand() *cobra.Command {
	var t target
	c := group("rejected", "Show messages that routers refused",
		"  router rejected list\n  router rejected list --reason bad_signature --since 10m\n  router rejected show 4711",
		newRejectedListCommand(&t), newRejectedShowCommand(&t))
	c.Long = `Routers keep what they refuse for an hour, each at most 100 messages of an
identity, with the reason. These commands show whose it was, and why; never what it
says, unless "show" is asked for that. They need a credential that may read the
stream ` + subjects.StreamOut + ` (admin).`
	t.flags(c.PersistentFlags())
	return c
}

// rejection is a refused message without its content.
type rejection struct {
	Seq    uint64    `json:"seq"`
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
	From   string    `json:"selfid"`
	// Type, CID and CallID are the message's own word, if it can be read.
	Type   string `json:"type,omitzero"`
	CID    string `json:"cid,omitzero"`
	CallID string `json:"call_id,omitzero"`
	Detail string `json:"detail"`
	Size   int    `json:"size"`
	// Content is the message as it came, in base64.
	Content []byte `json:"content,omitempty"`
}

func rejectionOf(m msgget.Message) rejection {
	reason, from, _ := subjects.ParseRejected(m.Subject)
	r := rejection{Seq: m.Seq, Time: m.Time.UTC(), Reason: reason, From: from, Detail: m.Header.Get(router.HeaderDetail), Size: len(m.Data)}
	if envelope, err := identity.ParseEnvelope(m.Data); err == nil {
		if claims, err := signal.Decode(envelope.Payload); err == nil {
			r.Type, r.CID, r.CallID = string(claims.Type), claims.CID, claims.CallID
		}
	}
	return r
}

func joined(codes []signal.Code) string {
	names := make([]string, len(codes))
	for i, c := range codes {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// rejectedFilter holds the flags of "rejected list".
type rejectedFilter struct {
	reason, identity string
	since            time.Duration
	limit            int
	asJSON           bool
}

func newRejectedListCommand(t *target) *cobra.Command {
	var r rejectedFilter
	c := &cobra.Command{
		Use: "list", Short: "List messages that were refused lately, the last one at the end", Args: arguments(),
		Example: "  router rejected list --identity 1112223334\n  router rejected list --reason bad_signature --since 10m --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := r.filter()
			if err != nil {
				return err
			}
			return t.session(cmd, func(ctx context.Context, nc *nats.Conn) error { return r.list(ctx, cmd, nc, filter) })
		},
	}
	f := c.Flags()
	f.StringVar(&r.reason, "reason", "", "only with this code, such as bad_signature")
	f.StringVar(&r.identity, "identity", "", "only of this identity")
	f.DurationVar(&r.since, "since", time.Hour, "how far to look back; routers keep them for an hour")
	f.IntVar(&r.limit, "limit", 100, "how many at most, the last ones, 1 to 10000")
	f.BoolVar(&r.asJSON, "json", false, "print a line of JSON for each")
	return c
}

// filter checks the flags, all at once, and returns the subjects to read.
func (r *rejectedFilter) filter() (string, error) {
	reason, self := "*", "*"
	var errs []error
	if r.reason != "" {
		if reason = r.reason; !slices.Contains(signal.Codes(), signal.Code(reason)) {
			errs = append(errs, fmt.Errorf("--reason %.40q: want one of %s", reason, joined(signal.Codes())))
		}
	}
	if r.identity != "" {
		id, err := identity.ParseID(r.identity)
		if err != nil {
			errs = append(errs, fmt.Errorf("--identity: %w", err))
		}
		self = id.String()
	}
	if r.since <= 0 {
		errs = append(errs, fmt.Errorf("--since %s: want a positive duration, such as 10m", r.since))
	}
	if r.limit < 1 || r.limit > 10000 {
		errs = append(errs, fmt.Errorf("--limit %d: want 1 to 10000", r.limit))
	}
	return subjects.Rejected(reason, self), joinUsage(errs)
}

// list prints the last messages that match, one request for each.
func (r *rejectedFilter) list(ctx context.Context, cmd *cobra.Command, nc *nats.Conn, filter string) error {
	var found []rejection
	left := 0
	m, err := msgget.Since(ctx, nc, subjects.StreamOut, filter, time.Now().Add(-r.since))
	for ; err == nil; m, err = msgget.Next(ctx, nc, subjects.StreamOut, filter, m.Seq+1) {
		if len(found) == r.limit {
			found, left = found[1:], left+1
		}
		found = append(found, rejectionOf(m))
	}
	if !errors.Is(err, msgget.ErrNone) {
		return fmt.Errorf("after %d messages: %w: a shorter --since or a longer --timeout may help", len(found)+left, err)
	}
	if left > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "router: %d earlier ones are left out: see --limit\n", left)
	}
	var rows [][]string
	for _, f := range found {
		if r.asJSON {
			if err := printJSON(cmd.OutOrStdout(), f); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{strconv.FormatUint(f.Seq, 10), timeOrDash(f.Time), f.Reason, f.From, f.Type, f.CID, f.Detail})
	}
	if r.asJSON {
		return nil
	}
	return table(cmd.OutOrStdout(), []string{"SEQ", "TIME", "REASON", "FROM", "TYPE", "CID", "DETAIL"}, rows)
}

func newRejectedShowCommand(t *target) *cobra.Command {
	var content, asJSON bool
	c := &cobra.Command{
		Use: "show <seq>", Short: "Show one message that was refused", Args: arguments("seq"),
		Long: `Shows one refused message by its sequence, which "rejected list" prints. With
--content also the message as it came: what people say to each other, and what
may not be a message at all.`,
		Example: "  router rejected show 4711\n  router rejected show 4711 --content",
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || seq == 0 {
				return usagef("%.40q is no sequence: want a number that \"router rejected list\" prints", args[0])
			}
			return t.session(cmd, func(ctx context.Context, nc *nats.Conn) error {
				m, err := msgget.Next(ctx, nc, subjects.StreamOut, subjects.FilterRejected, seq)
				if errors.Is(err, msgget.ErrNone) || err == nil && m.Seq != seq {
					return fmt.Errorf("no refused message has the sequence %d: they are kept for an hour, see \"router rejected list\"", seq)
				}
				if err != nil {
					return err
				}
				r := rejectionOf(m)
				if content {
					r.Content = m.Data
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), r)
				}
				return printRejection(cmd.OutOrStdout(), r)
			})
		},
	}
	c.Flags().BoolVar(&content, "content", false, "show the message itself")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printRejection(out io.Writer, r rejection) error {
	rows := [][]string{
		{"time", timeOrDash(r.Time)},
		{"reason", r.Reason},
		{"detail", r.Detail},
		{"from", r.From},
		{"type", r.Type},
		{"conversation", r.CID},
		{"call", r.CallID},
		{"size", fmt.Sprintf("%d bytes", r.Size)},
	}
	if len(r.Content) > 0 {
		rows = append(rows, []string{"content", string(r.Content)}, []string{"base64", base64.StdEncoding.EncodeToString(r.Content)})
	}
	return table(out, []string{"sequence", strconv.FormatUint(r.Seq, 10)}, rows)
}
