package doctor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/doctor"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a sound installation: a broker with the auth callout service, one
// proxy and one user.
func start(t *testing.T, change ...func(*brokertest.Options)) *brokertest.Broker {
	t.Helper()
	opts := brokertest.Options{Memory: true, Callout: true, Users: []string{"alice"}, Apps: []string{"proxy"}}
	for _, c := range change {
		c(&opts)
	}
	return brokertest.Start(t, opts)
}

// sound is what to examine of it.
func sound(t *testing.T, b *brokertest.Broker) doctor.Options {
	t.Helper()
	alice := b.Get(t, "alice")
	o := doctor.Options{
		Servers:    []string{b.URL()},
		Credential: credential(t, b, doctor.RoleRouter),
		Identity:   &doctor.Identity{ID: alice.ID, Options: alice.Options()[:1]},
		Keys:       []doctor.KeyFile{{Name: "proxies/proxy.jwk", ID: identity.MustID("proxy"), Key: b.Get(t, "proxy").Key}},
		KeyDir:     "proxies",
		Timeout:    5 * time.Second,
	}
	for _, role := range []doctor.Role{doctor.RoleBackend, doctor.RoleAdmin, doctor.RoleAuth, doctor.RoleSystem} {
		if role == doctor.RoleAuth && b.AuthKeys().IsZero() {
			continue
		}
		o.Others = append(o.Others, credential(t, b, role))
	}
	return o
}

func credential(t *testing.T, b *brokertest.Broker, role doctor.Role) doctor.Credential {
	t.Helper()
	nkey, err := nats.NkeyOptionFromSeed(b.SeedFile(t, string(role)))
	if err != nil {
		t.Fatal(err)
	}
	return doctor.Credential{Role: role, Name: string(role) + ".nk", Options: []nats.Option{nkey}}
}

// examine runs the examination and logs it if the test fails.
func examine(t *testing.T, o doctor.Options) doctor.Report {
	t.Helper()
	r := doctor.Run(t.Context(), o)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("\n" + text(r))
		}
	})
	return r
}

func text(r doctor.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(strings.Join([]string{string(f.Status), f.Check, f.About, f.Seen, f.Mend}, " | ") + "\n")
	}
	return b.String()
}

// want demands a finding whose words contain all of these, and that it says how
// to mend what is not ok.
func want(t *testing.T, r doctor.Report, status doctor.Status, check string, parts ...string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Status == status && f.Check == check && containsAll(f.About+" "+f.Seen+" "+f.Mend, parts) {
			if (status == doctor.Wrong || status == doctor.Warn) && f.Mend == "" {
				t.Errorf("%s %s: want to be told how to mend it, got %+v", status, check, f)
			}
			return
		}
	}
	t.Errorf("want a line %q of the check %q with %q", status, check, parts)
}

// onlyWrong demands that nothing is wrong but what these checks found.
func onlyWrong(t *testing.T, r doctor.Report, checks ...string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Status == doctor.Wrong && !slices.Contains(checks, f.Check) {
			t.Errorf("want nothing wrong but in %q, got %+v", checks, f)
		}
		if f.Status != doctor.OK && f.Status != doctor.Skipped && f.Mend == "" {
			t.Errorf("want every line to say how to mend it, got %+v", f)
		}
	}
}

func containsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

// stored counts the messages of every stream.
func stored(t *testing.T, js jetstream.JetStream) (n uint64) {
	t.Helper()
	for _, name := range []string{subjects.StreamIn, subjects.StreamOut, subjects.KV(subjects.BucketRoutes), subjects.KV(subjects.BucketIdentities)} {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		n += s.CachedInfo().State.LastSeq
	}
	return n
}
