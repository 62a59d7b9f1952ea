package main

import (
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/internal/broker"
)

// TestCallVerify: a name that is an identity gives the customer away.
func TestCallVerify(t *testing.T) {
	t.Parallel()
	d := startDev(t, t.TempDir())
	create := func(cid, name string) {
		mustSucceed(t, d.as(broker.UserBackend, "call", "create", "--cid", cid, "--proxy", devProxy,
			"--operator", devOperator, "--customer", devCustomer, "--customer-name", name)...)
	}
	create("masked", "Ada")
	if out := mustSucceed(t, d.as(broker.UserBackend, "call", "verify", "masked")...).stdout; !strings.Contains(out, "1 messages searched, the mask holds") {
		t.Errorf("want the mask to hold, got %s", out)
	}
	create("leaking", devCustomer)
	for _, args := range [][]string{{"call", "verify", "leaking"}, {"call", "verify", "leaking", "--json"}} {
		r := cli(t, d.as(broker.UserBackend, args...)...)
		wantFailure(t, r, exitFailure, "1 places name the other side")
		if !strings.Contains(r.stdout, "claims.data.name") {
			t.Errorf("want the place, got %s", r.stdout)
		}
	}
	wantFailure(t, cli(t, d.as(broker.UserBackend, "call", "verify", "nowhere")...), exitFailure, "not_found")
	d.stop(t)
}
