package voice

import (
	"maps"
	"slices"
	"time"
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

// past is what was seen of a stream that then ended earlier than it had. It was
// deleted and made anew, or restored from a backup: then its sequences come again
// with other messages. Or a server that leads no more, and does not know it yet,
// or one that leads and is not up to date, spoke of it: then the same messages
// come again. Their times tell which.
type past struct {
	seen
	until  time.Time // of the newest message of it
	newest time.Time // of all messages that were decided on
}

// note remembers how late it was when r was stored.
func (p *past) note(r raw) {
	if r.at.After(p.newest) {
		p.newest = r.at
	}
}

// keep makes what was seen until now part of the past.
func (p *past) keep(s seen) {
	p.until = p.newest
	for seq := range s.above {
		p.add(seq)
	}
	p.raise(s.floor)
}

// has reports whether r was decided on before.
func (p *past) has(r raw) bool { return p.seen.has(r.seq) && !r.at.After(p.until) }
