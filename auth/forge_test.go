package auth_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

// forger makes requests as a server would, in the account AUTH, where nobody but
// the service has a user.
type forger struct {
	d      *door
	nc     *nats.Conn
	server nkeys.KeyPair
	curve  nkeys.KeyPair
}

// ask sends a request and reports whether the service answers it.
func (f *forger) ask(t *testing.T, change func(*jwt.AuthorizationRequestClaims), seal bool) (answered bool) {
	t.Helper()
	id, err := f.server.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	curve, err := f.curve.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	_, subject := user(t)
	claims := jwt.NewAuthorizationRequestClaims(f.d.AuthKeys().Issuer())
	claims.Audience = "nats-authorization-request"
	claims.UserNkey = subject
	claims.Server.ID, claims.Server.XKey = id, curve
	claims.Expires = time.Now().Add(2 * time.Second).Unix()
	claims.ClientInformation.Kind, claims.ClientInformation.Type = "Client", "nats"
	change(claims)
	token, err := claims.Encode(f.server)
	if err != nil {
		t.Fatal(err)
	}
	m := nats.NewMsg(subjects.CalloutRequest)
	m.Data = []byte(token)
	if seal {
		m.Header.Set("Nats-Server-Xkey", curve)
		if m.Data, err = f.curve.Seal(m.Data, f.d.AuthKeys().XKey()); err != nil {
			t.Fatal(err)
		}
	}
	_, err = f.nc.RequestMsg(m, 300*time.Millisecond)
	if err != nil && !errors.Is(err, nats.ErrTimeout) {
		t.Fatal(err)
	}
	return err == nil
}

// TestForgedRequests: what a server has not made for this service is not even
// answered. The service itself may not ask: the server forbids its users to.
func TestForgedRequests(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	violation := make(chan error, 8)
	own := d.AuthConn(t, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violation <- err }))
	if err := own.Publish(subjects.CalloutRequest, nil); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, violation, "publishing a request as the service"); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("want a permissions violation, got %v", err)
	}
	server, err := nkeys.CreateServer()
	if err != nil {
		t.Fatal(err)
	}
	curve, err := nkeys.CreateCurveKeys()
	if err != nil {
		t.Fatal(err)
	}
	// The only way in is the server's own account for itself, which no user has;
	// a second broker without an account wall stands in for it.
	open := brokertest.Start(t, brokertest.Options{Bare: true})
	f := &forger{d: d, nc: open.Admin(t), server: server, curve: curve}
	s, err := auth.New(auth.Options{Conn: open.Admin(t), Keys: d.AuthKeys(), Directory: d.Directory(), RefusalDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)

	other, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	otherIssuer, err := other.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	same := func(*jwt.AuthorizationRequestClaims) {}
	if !f.ask(t, same, true) {
		t.Fatal("a well-formed request: want an answer, got none")
	}
	for _, tc := range []struct {
		what   string
		seal   bool
		change func(*jwt.AuthorizationRequestClaims)
	}{
		{"not encrypted", false, same},
		{"another audience", true, func(c *jwt.AuthorizationRequestClaims) { c.Audience = "x" }},
		{"another issuer", true, func(c *jwt.AuthorizationRequestClaims) { c.Subject = otherIssuer }},
		{"another server's id", true, func(c *jwt.AuthorizationRequestClaims) { c.Server.ID = "NAAA" }},
		{"another curve key", true, func(c *jwt.AuthorizationRequestClaims) { c.Server.XKey = "XAAA" }},
		{"no user key", true, func(c *jwt.AuthorizationRequestClaims) { c.UserNkey = "" }},
		{"an account for a user key", true, func(c *jwt.AuthorizationRequestClaims) { c.UserNkey = otherIssuer }},
		{"long over", true, func(c *jwt.AuthorizationRequestClaims) { c.Expires = time.Now().Add(-time.Minute).Unix() }},
		{"never over", true, func(c *jwt.AuthorizationRequestClaims) { c.Expires = 0 }},
	} {
		if f.ask(t, tc.change, tc.seal) {
			t.Errorf("%s: want no answer, got one", tc.what)
		}
	}
}

func run(t *testing.T, s *auth.Service) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("service: %v", err)
		}
	})
	for s.Ready() != nil {
		select {
		case err := <-done:
			t.Fatalf("service ended: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	seeds, err := auth.GenerateSeeds()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	issuer := write("issuer", append(seeds.Issuer, '\n'), 0o600)
	xkey := write("xkey", seeds.XKey, 0o640)
	keys, err := auth.LoadKeys(issuer, xkey)
	if err != nil {
		t.Fatal(err)
	}
	if keys.Issuer()[0] != 'A' || keys.XKey()[0] != 'X' {
		t.Errorf("want public keys of an account and of a curve, got %s", keys)
	}
	if _, err := auth.LoadKeys(write("open", seeds.Issuer, 0o644), xkey); !errors.Is(err, identity.ErrKeyFileMode) {
		t.Errorf("readable by everybody: want ErrKeyFileMode, got %v", err)
	}
	for what, files := range map[string][2]string{
		"swapped":  {xkey, issuer},
		"a user":   {write("user", userSeed(t), 0o600), xkey},
		"not seed": {write("text", []byte("SAnotaseed"), 0o600), xkey},
		"missing":  {filepath.Join(dir, "none"), xkey},
	} {
		_, err := auth.LoadKeys(files[0], files[1])
		if err == nil {
			t.Errorf("%s: want an error, got none", what)
		} else if strings.Contains(err.Error(), string(seeds.Issuer[:12])) || strings.Contains(err.Error(), "notaseed") {
			t.Errorf("%s: want no secret in the error, got %v", what, err)
		}
	}
}

func userSeed(t *testing.T) []byte {
	t.Helper()
	pair, _ := user(t)
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

// TestUserClaimsNeverWiden: no JWT for what is no identity.
func TestUserClaimsNeverWiden(t *testing.T) {
	t.Parallel()
	_, subject := user(t)
	if _, err := auth.UserClaims(subject, identity.ID{}, identity.RoleUser, time.Time{}); err == nil {
		t.Error("nobody: want an error, got a JWT")
	}
	if _, err := auth.UserClaims(subject, identity.MustID(alice), "king", time.Time{}); err == nil {
		t.Error("unknown role: want an error, got a JWT")
	}
	claims, err := auth.UserClaims(subject, identity.MustID(alice), identity.RoleUser, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(claims.Pub.Allow, claims.Sub.Allow...) {
		if !strings.Contains(s, alice) {
			t.Errorf("want every permission to name the identity, got %q", s)
		}
	}
}
