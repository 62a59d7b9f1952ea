// Package security attacks a broker and a fleet of routers as somebody would who
// has a connection, a text editor and time: raw connections, no SDK.
//
// Every attack is a row of a table: who tries what, who stops it, and what is
// seen of it. docs/security.md shows the same table; TestDocument holds the two
// together.
package security

import (
	"fmt"
	"os"
	"testing"

	"github.com/nats-io/nats-server/v2/server/ats"
	"go.uber.org/goleak"
)

// Identities that take part. The operator and the customer are in a call through
// the proxy that the attackers are after.
const (
	operator   = "1112223334"
	customer   = "1111111111"
	mallory    = "6666666666" // a user with bad intentions
	accomplice = "6666666667" // at the other end of mallory's own conversation
	short      = "666666666"  // whose name is the beginning of mallory's
	revoked    = "2000000003"
	proxy      = "proxy"
	gazette    = "gazette"  // an app with bad intentions
	helpdesk   = "helpdesk" // an app without
	nobody     = "5555555555"
)

func TestMain(m *testing.M) {
	ats.Register()
	code := m.Run()
	ats.Unregister()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
