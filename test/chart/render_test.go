package chart

import (
	"testing"
)

// TestRender renders the chart with each values file in ci/ and decodes every
// object strictly.
func TestRender(t *testing.T) {
	t.Parallel()
	for name, values := range ciValues(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := install{values: values}.objects(t, load(t))
			if len(objects) < 8 {
				t.Fatalf("want at least 8 objects, got %d", len(objects))
			}
			typed(t, objects)
		})
	}
}
