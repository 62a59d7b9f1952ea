package provision

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Errors of [Ensure] and [Verify].
var (
	// ErrMissing is returned by Verify for a stream, bucket or consumer that does
	// not exist.
	ErrMissing = errors.New("does not exist")
	// ErrServerTooOld is returned for a server without the features that the
	// router needs.
	ErrServerTooOld = errors.New("nats-server is too old")
)

// Difference is one setting of something that exists and is not as it must be.
type Difference struct {
	// Asset is "stream VOICE_IN", "consumer router of VOICE_IN" and the like.
	Asset, Setting string
	Have, Want     string
	// Fixed settings cannot be changed in place.
	Fixed bool
}

// String says what differs and what to do.
func (d Difference) String() string {
	remedy := "run provision with --update"
	if d.Fixed {
		remedy = "it cannot be changed: let the fleet drain it, delete it and provision again"
	}
	return fmt.Sprintf("%s: %s is %s, want %s: %s", d.Asset, d.Setting, d.Have, d.Want, remedy)
}

// MismatchError is returned when something exists with other settings.
type MismatchError struct{ Differences []Difference }

// Error lists every difference on a line of its own.
func (e *MismatchError) Error() string {
	lines := make([]string, len(e.Differences))
	for i, d := range e.Differences {
		lines[i] = d.String()
	}
	return "provision: " + strings.Join(lines, "\nprovision: ")
}

// setting is one setting of a configuration of type C that matters.
type setting[C any] struct {
	name  string
	fixed bool
	show  func(*C) string
	equal func(a, b *C) bool
	copy  func(dst, src *C)
}

// field makes a setting of the field at which at points.
func field[C, T any](name string, at func(*C) *T) setting[C] {
	return setting[C]{
		name:  name,
		show:  func(c *C) string { return show(*at(c)) },
		equal: func(a, b *C) bool { return reflect.DeepEqual(*at(a), *at(b)) },
		copy:  func(dst, src *C) { *at(dst) = *at(src) },
	}
}

// fixed marks a setting that cannot be changed in place.
func fixed[C any](s setting[C]) setting[C] {
	s.fixed = true
	return s
}

func show(v any) string {
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return "none"
		}
		return fmt.Sprintf("%+v", r.Elem().Interface())
	}
	return fmt.Sprint(v)
}

// compare returns what differs between have and want, and have with every
// difference that can be mended mended.
func compare[C any](asset string, have, want C, settings []setting[C]) ([]Difference, C) {
	var differences []Difference
	mended := have
	for _, s := range settings {
		if s.equal(&have, &want) {
			continue
		}
		differences = append(differences, Difference{
			Asset: asset, Setting: s.name, Have: s.show(&have), Want: s.show(&want), Fixed: s.fixed,
		})
		if !s.fixed {
			s.copy(&mended, &want)
		}
	}
	return differences, mended
}
