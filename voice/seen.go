package voice

import (
	"maps"
	"slices"
)

// maxAbove bounds the sequences that are remembered one by one. Each answer of
// the sync service makes room, so that it matters only while there is none.
const maxAbove = 8192

// seen knows which sequences have been decided on: all up to floor, and some
// above it that came live.
type seen struct {
	floor uint64
	above map[uint64]struct{}
}

func (s *seen) has(seq uint64) bool {
	_, known := s.above[seq]
	return known || seq <= s.floor
}

// add marks seq. overflow is true if the floor had to rise over sequences that
// nobody has asked the sync service about.
func (s *seen) add(seq uint64) (overflow bool) {
	if s.has(seq) {
		return false
	}
	if s.above == nil {
		s.above = map[uint64]struct{}{}
	}
	s.above[seq] = struct{}{}
	if len(s.above) <= maxAbove {
		return false
	}
	known := slices.Sorted(maps.Keys(s.above))
	s.raise(known[len(known)/2])
	return true
}

// raise marks everything up to floor.
func (s *seen) raise(floor uint64) {
	if floor <= s.floor {
		return
	}
	s.floor = floor
	for seq := range s.above {
		if seq <= floor {
			delete(s.above, seq)
		}
	}
}
