package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // wrong configuration or wrong command line
)

// usageError is a mistake of whoever wrote the command line or the environment.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// report prints err, if there is one, and returns the exit code.
func report(stderr io.Writer, command *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "router: %s\n", err)
	if _, usage := errors.AsType[usageError](err); !usage {
		return exitFailure
	}
	fmt.Fprintf(stderr, "Run \"%s --help\" for help.\n", command.CommandPath())
	return exitUsage
}

func newRootCommand() *cobra.Command {
	root := group("router", "Masked voice-call signalling on NATS JetStream", `  router demo
  router dev
  router serve
  router call create --cid c1 --proxy proxy --customer 1111111111 --operator 1112223334
  router call timeline c1`,
		newServeCommand(), newAuthCommand(), newDevCommand(), newDemoCommand(), newCallCommand(), newIdentityCommand(),
		newRejectedCommand(), newProvisionCommand(), newCheckCommand(), newLogCommand(), newVersionCommand())
	root.Long = `The voice call router passes signalling between two people who must not learn
each other's identity. "router demo" shows it at work, "router dev" runs all of
it on this machine, "router serve" is one worker of a fleet.`
	root.Version = versionText()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return root
}

// group returns a command that only has others below it.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short, Example: example,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := ""
			if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
				hint = ", did you mean " + strings.Join(similar, " or ") + "?"
			}
			return usagef("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.Help(); err != nil {
				return err
			}
			return usagef("a command is missing")
		},
		SuggestionsMinimumDistance: 2,
	}
	g.AddCommand(commands...)
	return g
}

// arguments makes a wrong number of arguments a usage error; names say what they
// are.
func arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != len(names) {
			want := "no arguments"
			if len(names) > 0 {
				want = "<" + strings.Join(names, "> <") + ">"
			}
			return usagef("%d arguments: want %s", len(args), want)
		}
		return nil
	}
}
