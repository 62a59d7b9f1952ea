package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/internal/demo"
	"github.com/voicerouter/voicerouter/internal/redact"
)

func newDemoCommand() *cobra.Command {
	var asJSON, verbose bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play nine calls through a proxy, on an embedded server, and watch them",
		Long: `Starts a NATS server, two routers and the people who call each other, all in
this process, plays nine scenarios and prints what happens. Nothing of it
outlives the command. Exit code 0 only if every scenario ended as it must.`,
		Example: `  router demo
  router demo --json | jq -r 'select(.reason == "glare")'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			opts := demo.Options{Out: c.OutOrStdout(), JSON: asJSON}
			if verbose {
				opts.Logger = slog.New(redact.Handler(slog.NewTextHandler(os.Stderr, nil)))
			}
			return demo.Run(c.Context(), opts)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per event")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "print the logs of server and routers to standard error")
	return c
}
