// Command proxy is a hand-written calling proxy: an app that stands between a
// customer and an operator and passes every message of a call to the other side.
// The router does the same by itself for conversations that have a route; this
// program shows how to do it with the SDK alone, in direct mode.
//
// It needs an identity of its own, since the app "proxy" of "router dev" belongs
// to the router. From the directory of the repository, with "go run ./cmd/router
// dev --dir dev" in another terminal:
//
//	export ROUTER_NATS_NKEY_FILE=dev/users/admin.nk
//	go run ./cmd/router identity add proxy2 --role app --generate --dir dev/keys
//	go run ./examples/proxy -id proxy2 -key dev/keys/proxy2.jwk -nkey dev/keys/proxy2.nk
//
// The operator 1112223334 and the customer 1111111111 then address proxy2: the
// program in README.md does with "proxy2" in place of "proxy". A direct
// conversation needs no route.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/voice"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

// run connects as the app and forwards until ctx ends.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	flags.SetOutput(stderr)
	url := flags.String("url", env("VOICE_URL", "nats://127.0.0.1:4222"), "NATS `server` (VOICE_URL)")
	id := flags.String("id", env("VOICE_ID", "proxy"), "`identity` of this app (VOICE_ID)")
	keyFile := flags.String("key", os.Getenv("VOICE_KEY"), "`file` with the JWK that signs messages (VOICE_KEY)")
	nkeyFile := flags.String("nkey", os.Getenv("VOICE_NKEY"), "`file` with the nkey seed that opens the connection (VOICE_NKEY)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := missing(*keyFile, *nkeyFile); err != nil {
		return err
	}
	key, err := identity.ReadPrivateKey(*keyFile)
	if err != nil {
		return fmt.Errorf("signing key (-key): %w", err)
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	client, err := voice.Connect(ctx, voice.Options{
		URL: *url, SelfID: *id, Role: identity.RoleApp, SigningKey: key, NKeyFile: *nkeyFile, Logger: log,
	})
	if err != nil {
		return err
	}
	forward(client, log) //nolint:contextcheck // the calls of the original take no context
	log.Info("forwarding", "operator", operator, "customer", customer)

	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return client.Close(drain)
}

// missing names the files that were not given.
func missing(keyFile, nkeyFile string) error {
	var faults []error
	if keyFile == "" {
		faults = append(faults, errors.New("-key is missing: the file with the JWK that signs messages (or VOICE_KEY)"))
	}
	if nkeyFile == "" {
		faults = append(faults, errors.New("-nkey is missing: the file with the nkey seed that opens the connection (or VOICE_NKEY)"))
	}
	return errors.Join(faults...)
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
