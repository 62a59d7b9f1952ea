package call

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

var (
	// ErrState is returned for a record that breaks its schema.
	ErrState = errors.New("call record is broken")
	// ErrNewerVersion is returned for a record of a version above [Version]: a
	// newer router wrote it, and this one must leave it alone.
	ErrNewerVersion = errors.New("call record has a newer version")
)

// DecodeState parses and checks a record. Its errors wrap [ErrNewerVersion] or
// [ErrState].
func DecodeState(data []byte) (State, error) {
	var s State
	err := json.Unmarshal(data, &s)
	if err != nil {
		// A newer version may differ in anything but its number.
		var head struct {
			Version int `json:"v"`
		}
		if json.Unmarshal(data, &head) == nil {
			s = State{Version: head.Version}
		}
	}
	switch {
	case s.Version > Version:
		return State{}, fmt.Errorf("%w: %d, this router knows %d", ErrNewerVersion, s.Version, Version)
	case err != nil:
		return State{}, fmt.Errorf("%w: %s", ErrState, jsonFault(err))
	}
	s.normalize()
	if err := s.check(); err != nil {
		return State{}, err
	}
	return s, nil
}

// Encode returns the JSON of a valid record; its error wraps [ErrState].
func (s *State) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	b, err := s.appendJSON(make([]byte, 0, recordRoom+32*len(s.Applied)+128*len(s.Past)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrState, jsonFault(err))
	}
	return b, nil
}

// times lists every point in time of s but those of its marks.
func (s *State) times() []*time.Time {
	times := []*time.Time{&s.StartedAt, &s.RingingAt, &s.AnsweredAt, &s.EndedAt, &s.Deadline, &s.Last.At}
	for i := range s.Past {
		times = append(times, &s.Past[i].At)
	}
	return times
}

// normalize brings what was decoded into the form in which Decide writes it.
func (s *State) normalize() {
	for _, t := range s.times() {
		*t = moment(*t)
	}
	if len(s.DataAllow) == 0 {
		s.DataAllow = nil
	}
	if len(s.Parties) == 0 {
		s.Parties = nil
	}
	if len(s.Past) == 0 {
		s.Past = nil
	}
	if len(s.Applied) == 0 {
		s.Applied = nil
	}
	if len(s.Unknown) == 0 {
		s.Unknown = nil
	} else {
		_ = s.Unknown.Format() // as Marshal writes it; it has been through the parser
	}
}
