package provision

import (
	"errors"
	"strings"
	"testing"
)

func TestServerTooOldNamesTheVersionNeeded(t *testing.T) {
	t.Parallel()
	err := checkLevel(2, "2.12.3")
	if !errors.Is(err, ErrServerTooOld) {
		t.Fatalf("want ErrServerTooOld, got %v", err)
	}
	for _, part := range []string{"2.12.3", "nats-server 2.14.0 or later"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in the error, got %v", part, err)
		}
	}
	if err := checkLevel(4, "2.14.0"); err != nil {
		t.Errorf("level 4: want no error, got %v", err)
	}
}
