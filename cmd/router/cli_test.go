package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		code int
		part string
	}{
		"version":            {[]string{"version"}, exitOK, ""},
		"help":               {[]string{"--help"}, exitOK, ""},
		"help of a command":  {[]string{"call", "create", "--help"}, exitOK, ""},
		"no command":         {nil, exitUsage, "a command is missing"},
		"unknown command":    {[]string{"bogus"}, exitUsage, `unknown command "bogus"`},
		"misspelt command":   {[]string{"call", "crate"}, exitUsage, "did you mean create?"},
		"unknown flag":       {[]string{"serve", "--bogus"}, exitUsage, "unknown flag: --bogus"},
		"missing argument":   {[]string{"call", "get"}, exitUsage, "want <cid>"},
		"too many arguments": {[]string{"version", "x"}, exitUsage, "want no arguments"},
		"bad flag value":     {[]string{"dev", "--port", "x"}, exitUsage, "--port"},
		"bad port":           {[]string{"dev", "--port", "70000"}, exitUsage, "--port 70000"},
		"bad identity":       {[]string{"identity", "show", "a.*"}, exitUsage, `"a.*" is not an identity`},
		"bad role":           {[]string{"identity", "add", "a", "--generate", "--role", "king"}, exitUsage, "king"},
		"no keys":            {[]string{"identity", "add", "a"}, exitUsage, "either --generate or --jwk"},
		"bad storage":        {[]string{"provision", "--storage", "tape"}, exitUsage, "tape"},
		"too short an age":   {[]string{"provision", "--max-age", "1h"}, exitUsage, "1h0m0s"},
		"no keys directory":  {[]string{"provision", "--server-config"}, exitUsage, "--keys"},
		"unknown context":    {[]string{"call", "list", "--context", "nowhere"}, exitUsage, "nowhere"},
		"no server":          {[]string{"call", "list", "-s", "nats://127.0.0.1:1"}, exitFailure, "connect to NATS at nats://127.0.0.1:1"},
		"no timeout":         {[]string{"call", "list", "--timeout", "0s"}, exitUsage, "--timeout"},
		"version flag":       {[]string{"--version"}, exitOK, ""},
		"since without all":  {[]string{"call", "list", "--since", "2h"}, exitUsage, "--since does nothing without --all"},
		"fraction of since":  {[]string{"call", "list", "--all", "--since", "2500ms"}, exitUsage, "--since 2.5s: want a positive number of whole seconds"},
		"negative limit":     {[]string{"call", "list", "--limit", "-1"}, exitUsage, "--limit -1: want 1 to 1000"},
		"too high a limit":   {[]string{"call", "list", "--limit", "5000"}, exitUsage, "--limit 5000"},
		"dir without keys":   {[]string{"identity", "add", "a", "--jwk", "a.jwk", "--dir", "x"}, exitUsage, "--dir does nothing without --generate"},
		"verify and update":  {[]string{"provision", "--verify", "--update"}, exitUsage, "--verify and --update"},
		"two configurations": {[]string{"provision", "--server-config", "--operator-config", "--keys", "k"}, exitUsage, "--operator-config cannot be used together"},
		"replicas of no use": {[]string{"provision", "--server-config", "--keys", "k", "--replicas", "3"}, exitUsage, "--server-config and --replicas"},
		"port of no use":     {[]string{"provision", "--port", "4223"}, exitUsage, "--port does nothing without --server-config or --operator-config"},
		"two intervals":      {[]string{"provision", "--server-config", "--keys", "k", "--sync-always", "--sync-interval", "1s"}, exitUsage, "--sync-always and --sync-interval"},
		"no such code":       {[]string{"rejected", "list", "--reason", "ugly"}, exitUsage, "want one of unknown_type"},
		"no such sequence":   {[]string{"rejected", "show", "first"}, exitUsage, `"first" is no sequence`},
		"every mistake of rejected": {
			[]string{"rejected", "list", "--limit", "0", "--since", "-1s", "--identity", "a.b"}, exitUsage, "--limit 0: want 1 to 10000",
		},
		"every mistake": {
			[]string{"call", "create", "--cid", "a.b", "--proxy", "p", "--customer", "*", "--start", "x", "--ttl", "1ms"},
			exitUsage, "--cid",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFailure(t, cli(t, tc.args...), tc.code, tc.part)
		})
	}
	r := cli(t, "call", "create", "--cid", "a.b", "--proxy", "p", "--customer", "*", "--start", "x", "--ttl", "1ms")
	wantFailure(t, r, exitUsage, "--cid", "--customer", "--operator", "--start", "--ttl", "Run \"router call create --help\" for help.")
}

func TestVersionFlag(t *testing.T) {
	t.Parallel()
	flag, command := mustSucceed(t, "--version").stdout, mustSucceed(t, "version").stdout
	if flag != command || !strings.HasPrefix(flag, "router ") || !strings.Contains(flag, "revision") {
		t.Errorf("want what \"router version\" prints, got %q and %q", flag, command)
	}
}

func TestPasswordsInURLsAreNotShown(t *testing.T) {
	t.Parallel()
	r := cli(t, "call", "list", "-s", "nats://u:hunter2@127.0.0.1:1,nats://v:hunter2@127.0.0.1:2")
	wantFailure(t, r, exitFailure, "nats://127.0.0.1:1,nats://127.0.0.1:2")
	if strings.Contains(r.stderr, "hunter2") {
		t.Errorf("want no password shown, got %s", r.stderr)
	}
}

// TestEveryCommandHasHelp demands a summary and an example of every command.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: want a summary and an example, got %q and %q", c.CommandPath(), c.Short, c.Example)
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(newRootCommand())
}

func TestServeHelpListsTheVariables(t *testing.T) {
	t.Parallel()
	help := mustSucceed(t, "serve", "--help").stdout
	for _, v := range variables(new(config)) {
		if !strings.Contains(help, v.key) {
			t.Errorf("want %s in the help, got:\n%s", v.key, help)
		}
	}
}

func TestCellsCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Bob": "Bob", "Zoë": "Zoë", "a\x1b[2Jb": `a\x1b[2Jb`, "a\nb": `a\nb`, "a\u009bb": `a\u009bb`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: want %s, got %s", in, want, got)
		}
	}
}
