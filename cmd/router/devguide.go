package main

import (
	"fmt"
	"strings"

	"github.com/voicerouter/voicerouter/subjects"
)

// guide tells how to talk to the sandbox, whose HTTP server, if any, is at web.
func (s *sandbox) guide(web string) string {
	url := s.server.URL()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("The router runs at %s until it is interrupted.\n", url)
	line("  operator %s   signs with %s", devOperator, s.path("keys", devOperator+jwkEnding))
	line("  customer %s   signs with %s", devCustomer, s.path("keys", devCustomer+jwkEnding))
	line("  proxy    %-10s   the router signs for it", devProxy)
	if web != "" {
		line("  metrics and readiness: http://%s/metrics, /readyz", web)
	}
	line("\nIn another terminal (\"go run ./cmd/router\" where router is not installed):\n")
	line("  export ROUTER_NATS_URL=%s ROUTER_NATS_NKEY_FILE=%s", url, s.path("users", "admin"+seedEnding))
	line("  router call create --cid c1 --proxy %s --customer %s --operator %s --operator-name Bob", devProxy, devCustomer, devOperator)
	line("  router call timeline c1")
	line("  router identity add 1113334445 --generate --dir %s", s.path("keys"))
	line("\nA second worker, with the workers' credential and the proxy's key:\n")
	line("  ROUTER_NATS_URL=%s ROUTER_NATS_NKEY_FILE=%s ROUTER_PROXY_KEYS=%s ROUTER_HTTP_ADDR=127.0.0.1:9091 router serve",
		url, s.path("users", "router"+seedEnding), s.path("fleet"))
	line("\nListen as an identity, or look at a route as the backend does, with the nats command line tool:\n")
	for _, name := range []string{devOperator, devCustomer} {
		line("  nats --server %s --nkey %s --connection-name %s --inbox-prefix %s sub '%s'",
			url, s.path("keys", name+seedEnding), name, subjects.InboxPrefix(name), subjects.LiveAll(name))
	}
	line("  nats --server %s --nkey %s kv get %s c1\n", url, s.path("users", "backend"+seedEnding), subjects.BucketRoutes)
	return b.String()
}
