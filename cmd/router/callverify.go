package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

func newCallVerifyCommand(t *target) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "verify <cid>", Short: "Look for leaks in the mask of a conversation", Args: arguments("cid"),
		Long: `Searches every stored message that one side of a conversation can read for the
identity of the other side: subject, headers, claims. Prints each finding and
exits with 1 if there is one, or if not everything could be searched. What clients
write into peer_info is searched as well; what they encode or translate is not
recognised.`,
		Example: "  router call verify c1\n  router call verify c1 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := ask[router.VerifyRequest, router.VerifyResponse](cmd, t, subjects.ServiceCallVerify, router.VerifyRequest{CID: args[0]})
			if err != nil {
				return err
			}
			return printVerified(cmd, answer, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printVerified(cmd *cobra.Command, a router.VerifyResponse, asJSON bool) error {
	out := cmd.OutOrStdout()
	switch {
	case asJSON:
		if err := printJSON(out, a); err != nil {
			return err
		}
	case len(a.Findings) > 0:
		var rows [][]string
		for _, f := range a.Findings {
			rows = append(rows, []string{strconv.FormatUint(f.Seq, 10), f.Reader, f.Names, f.Where})
		}
		if err := table(out, []string{"SEQ", "CAN BE READ BY", "NAMES", "WHERE"}, rows); err != nil {
			return err
		}
	case !a.More:
		if _, err := fmt.Fprintf(out, "conversation %s: %d messages searched, the mask holds\n", a.CID, a.Searched); err != nil {
			return err
		}
	}
	switch {
	case len(a.Findings) > 0:
		return fmt.Errorf("conversation %s: %d messages searched, %d places name the other side", a.CID, a.Searched, len(a.Findings))
	case a.More:
		return fmt.Errorf("conversation %s: only %d messages were searched, there are more in its inboxes", a.CID, a.Searched)
	}
	return nil
}
