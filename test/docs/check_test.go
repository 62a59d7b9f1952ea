package docs

import (
	"reflect"
	"slices"
	"testing"

	"github.com/voicerouter/voicerouter/internal/doctor"
)

// TestChecks holds the tables of docs/check.md against the doctor.
func TestChecks(t *testing.T) {
	t.Parallel()
	in := func(name string) [][]string {
		return rows(t, name, between(t, "../../docs/check.md", "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->"))
	}
	checks := in("checks")
	if want, got := len(doctor.Checks()), len(checks); want != got {
		t.Fatalf("want %d checks, got %d", want, got)
	}
	for i, c := range doctor.Checks() {
		if row := checks[i]; code(row[0])[0] != c[0] || row[1] != c[1] {
			t.Errorf("want %q, got %q", c, row[:2])
		}
	}
	for name, typ := range map[string]reflect.Type{"report": reflect.TypeFor[doctor.Report](), "finding": reflect.TypeFor[doctor.Finding]()} {
		if want, got := members(typ), names(t, in(name)); !slices.Equal(want, got) {
			t.Errorf("%s: want %q, got %q", name, want, got)
		}
	}
}
