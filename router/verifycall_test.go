package router

import "testing"

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text, id string
		want     bool
	}{
		{"o=1112223334 0", "1112223334", true},
		{"x1112223334x", "1112223334", true}, // long ones count inside a word
		{"111222333", "1112223334", false},
		{"call of ann", "ann", true},
		{"ann", "ann", true},
		{"channel, anna, ann-1, ann.", "ann", true},
		{"channel, anna, ann-1, _ann", "ann", false},
		{"", "ann", false},
	} {
		if got := names(tc.text, tc.id); got != tc.want {
			t.Errorf("%q in %q: got %v, want %v", tc.id, tc.text, got, tc.want)
		}
	}
}
