package doctor_test

import (
	"testing"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/doctor"
)

// TestSoundInstallation: nothing is wrong, everything is looked at, and nothing is
// left behind.
func TestSoundInstallation(t *testing.T) {
	t.Parallel()
	b := start(t)
	js := brokertest.JetStream(t, b.Admin(t))
	before := stored(t, js)
	r := examine(t, sound(t, b))
	onlyWrong(t, r)
	if after := stored(t, js); after != before {
		t.Errorf("want nothing stored by an examination, got %d messages more", after-before)
	}
	want(t, r, doctor.OK, "callout", "user auth reads the directory")
	want(t, r, doctor.OK, "callout", "user auth is told of the connections")
	want(t, r, doctor.OK, "callout", "identity alice (user)", "all ", " needed permissions are granted")
	seen := map[string]bool{}
	for _, f := range r.Findings {
		seen[f.Check] = true
		if f.Status == doctor.Skipped && f.Check != "tls" {
			t.Errorf("want everything looked at, got %+v", f)
		}
	}
	for _, c := range doctor.Checks() {
		if !seen[c[0]] {
			t.Errorf("want the check %q to say something", c[0])
		}
	}
}

// TestAppIsLetIn: what an app may do besides is tried as well, on its own durable
// and on another's.
func TestAppIsLetIn(t *testing.T) {
	t.Parallel()
	b := start(t)
	o := sound(t, b)
	app := b.Get(t, "proxy")
	o.Identity = &doctor.Identity{ID: app.ID, Options: app.Options()[:1]}
	r := examine(t, o)
	want(t, r, doctor.OK, "callout", "identity proxy (app)", "all ", " needed permissions are granted")
	onlyWrong(t, r)
}
