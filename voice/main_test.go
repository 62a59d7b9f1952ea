package voice_test

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type ctx = context.Context

// done returns a context that has no deadline, for clients that close when the
// context of the test has ended.
func done() context.Context { return context.Background() }

func contains(s, part string) bool { return strings.Contains(s, part) }

// dialer has a client connect through c.
func dialer(c *cable) nats.Option { return nats.SetCustomDialer(c) }
