package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/doctor"
	"github.com/voicerouter/voicerouter/internal/provision"
)

// examination holds the flags of "check".
type examination struct {
	as, keys, identity string
	asJSON             bool
	timeout            time.Duration
	now                func() time.Time // for tests; nil is the clock
}

func newCheckCommand() *cobra.Command { return checkCommand(&examination{}) }

func checkCommand(x *examination) *cobra.Command {
	c := &cobra.Command{
		Use: "check", Short: "Examine the installation and say how to mend it", Args: arguments(),
		Long: `Examines the installation from here, with the environment that "router serve" or
"router auth" would run with: servers, TLS, JetStream and its limits, streams,
buckets, consumers and replicas, the clock, key files against the directory,
permissions, and whether strangers are refused. Each line is ok, warn, wrong or
skipped, and says what was seen; what is not right says how to mend it. Exit code 1
means that something is wrong; warnings do not count.

Permissions are tried: with messages that are refused for another reason, so that
nothing is stored or changed. The server logs those that it does not permit.

With --keys, the directory that "router provision --server-config" wrote, the
permissions of every user whose seed (USER.nk) or credentials (USER.creds) lie there
are tried, and the user system tells of every server of the cluster.`,
		Example: `  ROUTER_NATS_URL=nats://nats:4222 ROUTER_NATS_NKEY_FILE=keys/router.nk ROUTER_PROXY_KEYS=proxies router check
  router check --keys keys --identity people/1112223334.nk
  router check --as auth --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return x.run(cmd) },
	}
	f := c.Flags()
	f.StringVar(&x.as, "as", "", "user whose credential the environment names: router, backend, admin, auth or system (default router, or auth if ROUTER_AUTH_ISSUER_FILE is set)")
	f.StringVar(&x.keys, "keys", "", "directory with the seeds or credentials of the other users")
	f.StringVar(&x.identity, "identity", "", "file of an identity's nkey seed (SELFID.nk) or credentials (SELFID.creds), to connect as a client does")
	f.DurationVar(&x.timeout, "timeout", 10*time.Second, "how long to wait for each answer")
	f.BoolVar(&x.asJSON, "json", false, "print JSON")
	return c
}

func (x *examination) run(cmd *cobra.Command) error {
	opts, err := x.options()
	if err != nil {
		return err
	}
	report := doctor.Run(cmd.Context(), opts)
	if x.asJSON {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		err = printFindings(cmd.OutOrStdout(), report)
	}
	if err == nil && report.Wrong > 0 {
		err = fmt.Errorf("check: %s", report.Summary())
	}
	return err
}

// options turns flags and environment into what is to be examined. Only mistakes
// of the command line are errors: those of the environment are findings.
func (x *examination) options() (doctor.Options, error) {
	cfg, mistakes := readConfig()
	role := doctor.Role(x.as)
	if role == "" {
		role = doctor.RoleRouter
		if cfg.Auth.IssuerFile != "" {
			role = doctor.RoleAuth
		}
	}
	if !slices.Contains(doctor.Roles(), role) {
		return doctor.Options{}, usagef("--as %.32q: want router, backend, admin, auth or system", x.as)
	}
	if x.timeout <= 0 {
		return doctor.Options{}, usagef("--timeout %s: want a positive duration", x.timeout)
	}
	if role == doctor.RoleAuth && len(mistakes) == 0 {
		if _, err := cfg.authKeys(); err != nil {
			mistakes = append(mistakes, errors.New(strings.TrimPrefix(err.Error(), "configuration:\n")))
		}
	}
	opts := doctor.Options{
		Servers:   strings.Split(cfg.NATS.URL, ","),
		TLS:       doctor.TLS{CA: cfg.NATS.TLS.CA, Cert: cfg.NATS.TLS.Cert, Key: cfg.NATS.TLS.Key, First: cfg.NATS.TLS.First},
		Transport: cfg.tlsOptions(),
		Provision: provision.Options{Replicas: cfg.Replicas, MaxAge: cfg.StreamMaxAge, MaxCallDuration: cfg.MaxCallDuration},
		Mistakes:  mistakes, Suspicions: suspicions(cfg), Variables: setVariables(),
		Keys: keyFindings(cfg.ProxyKeys), KeyDir: cfg.ProxyKeys,
		Now: x.now, Timeout: x.timeout,
	}
	err := x.users(&opts, cfg, role)
	if err == nil && x.identity != "" {
		opts.Identity, err = testIdentity(x.identity)
	}
	return opts, err
}

// users fills in who connects: the environment's credential, else that of --keys;
// then everybody else in --keys.
func (x *examination) users(opts *doctor.Options, cfg config, role doctor.Role) error {
	if x.keys != "" {
		if info, err := os.Stat(x.keys); err != nil || !info.IsDir() {
			return usagef("--keys %s: there is no such directory", x.keys)
		}
	}
	opts.Credential = cfg.credential(role)
	for _, other := range doctor.Roles() {
		c, ok := credentialIn(x.keys, other)
		switch {
		case !ok:
		case other != role:
			opts.Others = append(opts.Others, c)
		case len(opts.Credential.Options) == 0:
			opts.Credential = c
		}
	}
	return nil
}

// printFindings prints a line for each finding, and below it how to mend it.
func printFindings(out io.Writer, report doctor.Report) error {
	width := 0
	for _, f := range report.Findings {
		width = max(width, len(f.About))
	}
	width = min(width, 34)
	var b strings.Builder
	for _, f := range report.Findings {
		fmt.Fprintf(&b, "%-7s  %-12s  %-*s  %s\n", f.Status, f.Check, width, printable(f.About), printable(f.Seen))
		if f.Mend != "" {
			fmt.Fprintf(&b, "         mend: %s\n", printable(f.Mend))
		}
	}
	fmt.Fprintf(&b, "%s\n", report.Summary())
	_, err := io.WriteString(out, b.String())
	return err
}

// suspicions are variables that can be used, and perhaps should not.
func suspicions(cfg config) (list []doctor.Suspicion) {
	for _, name := range unknownVariables() {
		list = append(list, doctor.Suspicion{
			Variable: name, Seen: "no such variable is known: it has no effect, perhaps it is misspelt",
			Mend: "correct its name or unset it: \"router serve --help\" lists the variables",
		})
	}
	if cfg.Signatures == signaturesOff {
		list = append(list, doctor.Suspicion{
			Variable: "ROUTER_SIGNATURES", Seen: "off: whoever gets past the broker's permissions speaks as everybody",
			Mend: "unset it, unless the network is closed (docs/security.md, Without signatures)",
		})
	}
	return list
}

// setVariables counts the variables of the configuration that are set.
func setVariables() (n int) {
	for _, v := range variables(new(config)) {
		if _, set := os.LookupEnv(v.key); set {
			n++
		}
	}
	return n
}

// keyFindings reads every key of a directory, and what is wrong with those that
// cannot be used.
func keyFindings(dir string) (files []doctor.KeyFile) {
	for _, name := range keyFileNames(dir) {
		id, key, err := loadKey(name)
		files = append(files, doctor.KeyFile{Name: name, ID: id, Key: key, Err: err})
	}
	return files
}

// testIdentity is the identity whose key lies in a file that is named for it.
func testIdentity(file string) (*doctor.Identity, error) {
	name, opts, err := credentialFile(file)
	if err != nil {
		return nil, usagef("--identity %s: %w", file, err)
	}
	id, err := identity.ParseID(name)
	if err != nil {
		return nil, usagef("--identity %s: the file must be named for the identity: %w", file, err)
	}
	return &doctor.Identity{ID: id, Options: opts}, nil
}
