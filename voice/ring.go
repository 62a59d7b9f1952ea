package voice

import "sync"

// ring is a map that forgets its oldest entries: it never holds more than size.
type ring[K comparable, V any] struct {
	values map[K]V
	order  []K
	next   int
}

func newRing[K comparable, V any](size int) *ring[K, V] {
	return &ring[K, V]{values: make(map[K]V), order: make([]K, 0, size)}
}

func (r *ring[K, V]) get(k K) (V, bool) {
	v, ok := r.values[k]
	return v, ok
}

// put sets the value of k, which keeps its age if it is known.
func (r *ring[K, V]) put(k K, v V) {
	if _, known := r.values[k]; !known {
		if len(r.order) < cap(r.order) {
			r.order = append(r.order, k)
		} else {
			delete(r.values, r.order[r.next])
			r.order[r.next] = k
			r.next = (r.next + 1) % len(r.order)
		}
	}
	r.values[k] = v
}

// callSet remembers calls. It is safe for concurrent use.
type callSet struct {
	mu    sync.Mutex
	calls *ring[callID, struct{}]
}

func newCallSet() *callSet {
	return &callSet{calls: newRing[callID, struct{}](rememberCalls)}
}

func (s *callSet) add(id callID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls.put(id, struct{}{})
}

func (s *callSet) has(id callID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.calls.get(id)
	return known
}
