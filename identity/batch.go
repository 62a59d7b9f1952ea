package identity

import (
	"crypto/rand"
	"fmt"
	"sync"

	curve "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// Check is an envelope whose signature is to be verified, and the keys that it may
// be of.
type Check struct {
	Envelope *Envelope
	Keys     []PublicKey
	// Err is what [Envelope.Verify] returns for it, once VerifyAll has returned.
	Err error
}

// VerifyAll verifies every check, at about half the price of one at a time. The
// result is the same: the equation that many signatures are put into together is the
// sum of theirs, each times a random number of 128 bits, and if it does not hold each is
// verified by itself.
func VerifyAll(checks []Check) {
	for len(checks) > maxTogether {
		verifyTogether(checks[:maxTogether])
		checks = checks[maxTogether:]
	}
	verifyTogether(checks)
}

// maxTogether is the largest batch for which prepared keys are of use.
const maxTogether = 64

// leastTogether is the smallest batch that costs less than its signatures one by one.
const leastTogether = 4

func verifyTogether(checks []Check) {
	if len(checks) < leastTogether {
		for i := range checks {
			checks[i].Err = checks[i].Envelope.Verify(checks[i].Keys)
		}
		return
	}
	b := batches.Get().(*batch)
	defer b.free()
	for i := range checks {
		b.add(checks, i)
	}
	all, each := b.verifier.Verify(rand.Reader)
	for n, i := range b.at {
		if !all && !each[n] {
			checks[i].Err = errSignature(checks[i].Envelope.KID)
		}
	}
}

// batch is what a verification of many needs, kept for the next one.
type batch struct {
	verifier *curve.BatchVerifier
	at       []int  // which check each entry of the verifier is
	input    []byte // a signing input
}

var batches = sync.Pool{New: func() any {
	return &batch{verifier: curve.NewBatchVerifierWithCapacity(maxTogether), at: make([]int, 0, maxTogether)}
}}

func (b *batch) free() {
	b.verifier.Reset()
	b.at = b.at[:0]
	batches.Put(b)
}

// add enters a check, or judges it at once if it has no key or none that is prepared.
func (b *batch) add(checks []Check, i int) {
	c := &checks[i]
	key, err := c.Envelope.key(c.Keys)
	switch {
	case err != nil:
		c.Err = err
	case key.ready == nil:
		c.Err = c.Envelope.Verify(c.Keys)
	default:
		c.Err = nil
		b.input = appendSigningInput(b.input[:0], c.Envelope.protected, c.Envelope.payload)
		b.verifier.AddExpandedWithOptions(key.ready, b.input, c.Envelope.signature[:], &rules)
		b.at = append(b.at, i)
	}
}

func errSignature(kid string) error { return fmt.Errorf("%w: with key %q", ErrSignature, kid) }
