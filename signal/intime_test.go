package signal_test

import (
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/signal"
)

// TestInTime tries each boundary from both sides, by the nanosecond.
func TestInTime(t *testing.T) {
	const maxAge = 5 * time.Minute
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name     string
		iat, exp time.Duration // after at
		want     signal.Code
	}{
		{"now", 0, time.Minute, ""},
		{"iat as far ahead as clocks differ", signal.Skew, time.Hour, ""},
		{"iat further ahead", signal.Skew + 1, time.Hour, signal.CodeFuture},
		{"iat as old as allowed", -maxAge - signal.Skew, time.Hour, ""},
		{"iat older", -maxAge - signal.Skew - 1, time.Hour, signal.CodeStale},
		{"exp as far back as clocks differ", 0, -signal.Skew, ""},
		{"exp further back", 0, -signal.Skew - 1, signal.CodeExpired},
		{"exp before iat, both tolerated", signal.Skew, -signal.Skew, ""},
		{"future before expired", signal.Skew + 1, -time.Hour, signal.CodeFuture},
		{"stale before expired", -time.Hour, -time.Hour, signal.CodeStale},
		{"valid for centuries", 0, 200 * 365 * 24 * time.Hour, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := message()
			m.IssuedAt, m.ExpiresAt = at.Add(tc.iat), at.Add(tc.exp)
			err := m.InTime(at.In(time.FixedZone("elsewhere", -3600)), maxAge)
			if tc.want == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			wantRefusal(t, err, tc.want, map[bool]string{true: "exp", false: "iat"}[tc.want == signal.CodeExpired])
		})
	}
}
