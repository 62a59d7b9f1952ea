package main

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAudioFlowsBothWays(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	heard, err := play(ctx, newTranscript(testWriter{t}))
	if err != nil {
		t.Fatal(err)
	}
	if heard.operator < enough || heard.customer < enough {
		t.Errorf("got %d packets at the operator and %d at the customer, want at least %d", heard.operator, heard.customer, enough)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}
