package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestCalloutConfigListsEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := broker.Config{
		StoreDir: "/js", Host: "192.0.2.1", Insecure: true,
		Router:  broker.Credential{User: "router", Password: "p"},
		Callout: broker.Callout{Issuer: "SAsecret", XKey: "SXsecret"},
		Identities: []broker.Endpoint{
			{ID: identity.MustID("a"), Role: identity.RoleUser, NKey: publicNKey(t)},
		},
		WebSocket: broker.WebSocket{Port: 8443, Origins: []string{"not a url"}},
		TLS:       broker.TLS{HandshakeFirst: true},
	}.Render()
	if err == nil {
		t.Fatal("want an error, got none")
	}
	for _, part := range []string{
		"no credential for the auth callout service", "issuer is not a public account key", "xkey is not a public curve key",
		"both a callout and identities", "needs a user with an nkey", "insecure, but listening on 192.0.2.1",
		"WebSocket without TLS", "WebSocket origin", "TLS options without a certificate",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in the error, got:\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("want no secrets in the error, got:\n%v", err)
	}
}

// TestAuthServiceHasOnlyItsPermissions: what the service may do in its account,
// and that nobody else may import what it may.
func TestAuthServiceHasOnlyItsPermissions(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Callout: true, Users: []string{alice}})
	nc, seen := violations(t, b.AuthConn)
	for _, subject := range []string{
		subjects.KVKey(subjects.BucketIdentities, alice), subjects.KVKey(subjects.BucketRoutes, "c1"), subjects.RequestAccountInfo,
		subjects.RequestMessage(subjects.StreamOut), subjects.RequestMessage(subjects.KV(subjects.BucketRoutes)),
		subjects.RequestStreamInfo(subjects.KV(subjects.BucketIdentities)), subjects.Voice(alice, "stop"), subjects.State("c1"),
		subjects.ServiceCallCreate, subjects.CalloutRequest, "$SYS.REQ.SERVER.PING", "$JS.API.CONSUMER.CREATE." + subjects.KV(subjects.BucketIdentities) + ".x",
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, seen, subject)
	}
	// An identity reaches nothing of what is exported to the service.
	mine, denied := violations(t, as(b, alice))
	for _, subject := range []string{
		subjects.RequestMessage(subjects.KV(subjects.BucketIdentities)), subjects.ServiceCallEnd, subjects.RequestVoiceConnections, subjects.RequestKick("x"),
	} {
		if err := mine.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, mine, denied, subject)
	}
}

// TestInsecureLetsAnybodyIn, and those with a nkey as themselves.
func TestInsecureLetsAnybodyIn(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{
		Memory: true, Callout: true, Users: []string{alice}, Configure: func(c *broker.Config) { c.Insecure = true },
	})
	anybody, seen := violations(t, func(tb testing.TB, opts ...nats.Option) *nats.Conn {
		tb.Helper()
		nc, err := b.Connect(opts...)
		if err != nil {
			tb.Fatalf("connect without a credential: %v", err)
		}
		tb.Cleanup(nc.Close)
		return nc
	})
	if _, err := anybody.Request(subjects.Voice(alice, "stop"), []byte("{}"), 5*time.Second); err != nil {
		t.Errorf("want a PubAck, got %v", err)
	}
	if err := anybody.Publish(subjects.Inbox(alice, "stop"), nil); err != nil {
		t.Fatal(err)
	}
	refused(t, anybody, seen, subjects.Inbox(alice, "stop"))
	self, seen := violations(t, as(b, alice))
	if err := self.Publish(subjects.Voice(mallory, "stop"), nil); err != nil {
		t.Fatal(err)
	}
	refused(t, self, seen, subjects.Voice(mallory, "stop"))
}

func TestWebSocketClientsAreJudgedAlike(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{
		Memory: true, Callout: true, Users: []string{alice, mallory}, Configure: func(c *broker.Config) { c.WebSocket.Port = -1 },
	})
	nc, err := nats.Connect(b.WebSocketURL(), b.Get(t, alice).Options()...)
	if err != nil {
		t.Fatalf("connect by WebSocket: %v", err)
	}
	defer nc.Close()
	if _, err := nc.Request(subjects.Voice(alice, "stop"), []byte("{}"), 5*time.Second); err != nil {
		t.Errorf("want a PubAck, got %v", err)
	}
	options := append(b.Get(t, mallory).Options(), nats.Name(alice))
	if nc, err := nats.Connect(b.WebSocketURL(), options...); err == nil {
		nc.Close()
		t.Error("another's name: want no connection, got one")
	}
}

// TestStaticAndIssuedPermissionsAreTheSame: what a callout grants is what a
// configuration without one grants.
func TestStaticAndIssuedPermissionsAreTheSame(t *testing.T) {
	t.Parallel()
	for _, role := range []identity.Role{identity.RoleUser, identity.RoleApp} {
		id := identity.MustID(alice)
		want := broker.IdentityPermissions(id, role)
		claims, err := auth.UserClaims(publicNKey(t), id, role, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(claims.Pub.Allow, " "); got != strings.Join(want.Publish, " ") {
			t.Errorf("%s may publish: want %v, got %v", role, want.Publish, got)
		}
		if got := strings.Join(claims.Sub.Allow, " "); got != strings.Join(want.Subscribe, " ") {
			t.Errorf("%s may subscribe: want %v, got %v", role, want.Subscribe, got)
		}
		scope := auth.ScopePermissions(role)
		if got := strings.ReplaceAll(strings.Join(scope.Publish, " "), "{{name()}}", alice); got != strings.Join(want.Publish, " ") {
			t.Errorf("a %s with a scoped key may publish: want %v, got %v", role, want.Publish, got)
		}
	}
}
