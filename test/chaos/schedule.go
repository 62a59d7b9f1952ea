package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// act is one fault of a schedule: what, when and for how long. pick decides who
// is hit.
type act struct {
	at, lasts time.Duration
	kind      kind
	pick      uint64
}

// ends is when the fault is mended.
func (a act) ends() time.Duration { return a.at + a.lasts }

// schedule draws the faults of a run from its seed: about one every gap, each
// kind as often as its weight says, and those of one scope one after another
// with a rest between them. The same arguments give the same schedule. No fault
// outlasts the run.
func schedule(seed uint64, kinds []kind, duration, gap time.Duration) []act {
	rng := rand.New(rand.NewPCG(seed, 1)) // a schedule to repeat, no secret
	var acts []act
	var deck []kind
	free := map[scope]time.Duration{} // when a scope may be hit again
	for at := gap; at < duration && len(kinds) > 0; at += gap/2 + rand64(rng, gap) {
		if len(deck) == 0 {
			deck = shuffled(rng, kinds)
		}
		a := act{kind: deck[0], pick: rng.Uint64(), lasts: deck[0].least}
		if a.kind.most > a.kind.least {
			a.lasts += rand64(rng, a.kind.most-a.kind.least)
		}
		deck = deck[1:]
		a.at = max(at, free[a.kind.scope])
		free[a.kind.scope] = a.ends() + a.kind.scope.rest()
		if a.ends() < duration {
			acts = append(acts, a)
		}
	}
	slices.SortStableFunc(acts, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	return acts
}

func rand64(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d)))
}

// shuffled is a deck with as many cards of each kind as its weight says.
func shuffled(rng *rand.Rand, kinds []kind) []kind {
	var deck []kind
	for _, k := range kinds {
		for range k.weight {
			deck = append(deck, k)
		}
	}
	rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}
