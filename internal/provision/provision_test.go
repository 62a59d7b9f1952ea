package provision_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

func bare(t *testing.T) jetstream.JetStream {
	t.Helper()
	b := brokertest.Start(t, brokertest.Options{Bare: true})
	return brokertest.JetStream(t, b.Admin(t))
}

var apps = []identity.ID{identity.MustID("proxy")}

func TestEnsureTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	js := bare(t)
	opts := provision.Options{Storage: provision.Memory, Replicas: 1, MaxAge: 12 * time.Hour, Apps: apps}
	first, err := provision.Ensure(t.Context(), js, opts)
	if err != nil {
		t.Fatalf("first run: %v", err)
	}
	all := []string{
		"stream VOICE_IN", "stream VOICE_OUT", "bucket voice_routes", "bucket voice_identities",
		"consumer router of VOICE_IN", "consumer timeouts of VOICE_OUT", "consumer calls of VOICE_OUT", "consumer app-proxy of VOICE_OUT",
	}
	if diff := cmp.Diff(provision.Report{Created: all}, first); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	opts.Update = true
	second, err := provision.Ensure(t.Context(), js, opts)
	if err != nil {
		t.Fatalf("second run: %v", err)
	}
	if diff := cmp.Diff(provision.Report{Unchanged: all}, second); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
	if err := provision.Verify(t.Context(), js, opts); err != nil {
		t.Errorf("verify: %v", err)
	}
}

func TestVerifyWithTheWorkersPermissions(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Apps: []string{"proxy"}})
	js := brokertest.JetStream(t, b.Router(t))
	if err := provision.Verify(t.Context(), js, provision.Options{Apps: apps}); err != nil {
		t.Errorf("verify: %v", err)
	}
}

func TestVerifyReportsAllThatIsMissing(t *testing.T) {
	t.Parallel()
	err := provision.Verify(t.Context(), bare(t), provision.Options{Apps: apps})
	if !errors.Is(err, provision.ErrMissing) {
		t.Fatalf("want ErrMissing, got %v", err)
	}
	for _, want := range []string{
		"stream VOICE_IN", "stream VOICE_OUT", "bucket voice_routes", "bucket voice_identities",
		"consumer router of VOICE_IN", "consumer timeouts", "consumer app-proxy",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in the error, got %v", want, err)
		}
	}
}

func TestEnsureNamesWhatCannotBeChanged(t *testing.T) {
	t.Parallel()
	js := bare(t)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: subjects.StreamIn, Subjects: []string{subjects.FilterVoice}, Storage: jetstream.MemoryStorage,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = provision.Ensure(t.Context(), js, provision.Options{Update: true, Storage: provision.Memory})
	var mismatch *provision.MismatchError
	if !errors.As(err, &mismatch) {
		t.Fatalf("want a MismatchError, got %v", err)
	}
	want := provision.Difference{Asset: "stream VOICE_IN", Setting: "retention", Have: "Limits", Want: "WorkQueue", Fixed: true}
	if !slices.Contains(mismatch.Differences, want) {
		t.Errorf("want %+v among the differences, got %+v", want, mismatch.Differences)
	}
	for _, part := range []string{"retention is Limits, want WorkQueue", "cannot be changed", "maximum message size"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in the error, got %v", part, err)
		}
	}
}

func TestEnsureUpdatesOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	js := bare(t)
	if _, err := provision.Ensure(t.Context(), js, provision.Options{Storage: provision.Memory}); err != nil {
		t.Fatal(err)
	}
	// An operator's own doing: fewer deliveries, and a limit that evicts live calls.
	s, err := js.Stream(t.Context(), subjects.StreamOut)
	if err != nil {
		t.Fatal(err)
	}
	spoiled := s.CachedInfo().Config
	spoiled.MaxMsgs = 100
	spoiled.Description = "kept"
	if _, err := js.UpdateStream(t.Context(), spoiled); err != nil {
		t.Fatal(err)
	}
	_, err = provision.Ensure(t.Context(), js, provision.Options{AckWait: 7 * time.Second})
	for _, part := range []string{"stream VOICE_OUT: maximum messages is 100, want -1: run provision with --update", "ack wait is 5s, want 7s"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in the error, got %v", part, err)
		}
	}
	report, err := provision.Ensure(t.Context(), js, provision.Options{AckWait: 7 * time.Second, Update: true})
	if err != nil {
		t.Fatalf("update: %v", err)
	}
	want := []string{"stream VOICE_OUT", "consumer router of VOICE_IN", "consumer timeouts of VOICE_OUT"}
	if diff := cmp.Diff(want, report.Updated); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	if s, err = js.Stream(t.Context(), subjects.StreamOut); err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().Config; got.MaxMsgs != -1 || got.Description != "kept" {
		t.Errorf("want no limit and the operator's description kept, got %d and %q", got.MaxMsgs, got.Description)
	}
}

func TestMaxAgeMustOutliveCalls(t *testing.T) {
	t.Parallel()
	js := bare(t)
	opts := provision.Options{MaxAge: 8 * time.Hour, MaxCallDuration: 4 * time.Hour, Storage: provision.Memory}
	if _, err := provision.Ensure(t.Context(), js, opts); err == nil || !strings.Contains(err.Error(), "8h0m0s") {
		t.Errorf("want a refusal that names 8h0m0s, got %v", err)
	}
	opts.MaxAge = 9 * time.Hour
	if _, err := provision.Ensure(t.Context(), js, opts); err != nil {
		t.Fatalf("9h for calls of 4h: %v", err)
	}
	// What exists is judged too, when the fleet is started with longer calls.
	err := provision.Verify(t.Context(), js, provision.Options{MaxCallDuration: 5 * time.Hour})
	if err == nil || !strings.Contains(err.Error(), "9h0m0s") {
		t.Errorf("want a refusal that names 9h0m0s, got %v", err)
	}
}
