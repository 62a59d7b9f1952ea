package main

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/internal/monitor"
)

// versionText is what "router version" and "router --version" print.
func versionText() string {
	v := buildVersion()
	return fmt.Sprintf("router %s (revision %s, %s)", v.Version, orDash(v.Revision), v.Go)
}

// buildVersion says what this binary was built from.
func buildVersion() monitor.Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return monitor.Build{Version: "unknown"}
	}
	v := monitor.Build{Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	v.Version, v.Revision = cmp.Or(version, v.Version), cmp.Or(revision, v.Revision)
	return v
}

func newVersionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "version", Short: "Print what this binary was built from", Args: arguments(),
		Example: "  router version\n  router version --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return printJSON(cmd.OutOrStdout(), buildVersion())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionText())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
