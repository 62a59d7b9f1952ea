package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	curve "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// oracle is crypto/ed25519, against which the faster arithmetic is held.
func oracle(k PublicKey, signed, signature []byte) bool {
	return ed25519.Verify(k.Key, signed, signature)
}

func prepared(tb testing.TB, k PublicKey) PublicKey {
	tb.Helper()
	text, err := json.Marshal(k)
	if err != nil {
		tb.Fatal(err)
	}
	var out PublicKey
	if err := json.Unmarshal(text, &out); err != nil {
		tb.Fatal(err)
	}
	if out.ready == nil {
		tb.Fatal("a key from JSON is not prepared")
	}
	return out
}

// FuzzCurve: signatures are the standard library's to the byte, and what verifies
// is the same, with prepared keys and with others.
func FuzzCurve(f *testing.F) {
	f.Add([]byte("message"), uint(0), byte(1))
	f.Add([]byte{}, uint(63), byte(0x80))
	f.Fuzz(func(t *testing.T, message []byte, at uint, flip byte) {
		seed := sha256.Sum256(message) // not random: the fuzzer minimises by coverage
		private := newPrivateKey("1", ed25519.NewKeyFromSeed(seed[:]))
		plain := private.Public()
		ready := prepared(t, plain)
		signature := ed25519.Sign(private.key(), message)
		envelope, err := ParseEnvelope(private.Sign(message))
		if err != nil {
			t.Fatal(err)
		}
		if want := ed25519.Sign(private.key(), appendSigningInput(nil, envelope.protected, envelope.payload)); string(envelope.signature[:]) != string(want) {
			t.Fatalf("signature %x, want %x", envelope.signature, want)
		}
		signature[at%64] ^= flip
		want := oracle(plain, message, signature)
		if got := plain.verifies(message, signature); got != want {
			t.Errorf("plain key: %v, crypto/ed25519 says %v", got, want)
		}
		if got := ready.verifies(message, signature); got != want {
			t.Errorf("prepared key: %v, crypto/ed25519 says %v", got, want)
		}
	})
}

// TestCurveEdges: keys and signatures at the edges of RFC 8032 - points of small
// order, encodings that are not canonical, a scalar beyond the group's order -
// are judged as crypto/ed25519 judges them.
func TestCurveEdges(t *testing.T) {
	points := []string{
		"0100000000000000000000000000000000000000000000000000000000000000", // the neutral element
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
		"0000000000000000000000000000000000000000000000000000000000000000", // order 4
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, not canonical
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0100000000000000000000000000000000000000000000000000000000000080", // 1 with a sign
	}
	scalars := []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", // the order
	}
	message := []byte("message")
	accepted := 0
	for _, a := range points {
		key := PublicKey{KID: "1", Key: unhex(t, a)}
		for _, r := range points {
			for _, s := range scalars {
				signature := append(unhex(t, r), unhex(t, s)...)
				want := oracle(key, message, signature)
				if want {
					accepted++
				}
				if got := key.verifies(message, signature); got != want {
					t.Errorf("key %s signature %s %s: %v, crypto/ed25519 says %v", a, r, s, got, want)
				}
				text, err := json.Marshal(key)
				if err != nil {
					t.Fatal(err)
				}
				var ready PublicKey
				if json.Unmarshal(text, &ready) != nil {
					continue // no point of the curve: refused where it is read
				}
				if got := ready.verifies(message, signature); got != want {
					t.Errorf("prepared key %s signature %s %s: %v, crypto/ed25519 says %v", a, r, s, got, want)
				}
			}
		}
	}
	if accepted == 0 {
		t.Error("no case was accepted: the table shows one side only")
	}
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// BenchmarkCurve compares the arithmetic with crypto/ed25519, side by side, on 2
// KB.
func BenchmarkCurve(b *testing.B) {
	message := make([]byte, 2048)
	private, err := GenerateKey("1")
	if err != nil {
		b.Fatal(err)
	}
	plain := private.Public()
	ready := prepared(b, plain)
	signature := ed25519.Sign(private.key(), message)
	b.Run("verify/std", func(b *testing.B) {
		for b.Loop() {
			oracle(plain, message, signature)
		}
	})
	b.Run("verify/prepared", func(b *testing.B) {
		for b.Loop() {
			ready.verifies(message, signature)
		}
	})
	// What verification in batches of 256 would cost, per signature: it multiplies by
	// the cofactor, which the standard library does not, and is not used.
	b.Run("verify/batch", func(b *testing.B) {
		const size = 256
		verifier := curve.NewBatchVerifierWithCapacity(size)
		for i := 0; b.Loop(); i++ {
			verifier.AddExpanded(ready.ready, message, signature)
			if i%size == size-1 {
				verifier.VerifyBatchOnly(rand.Reader)
				verifier.Reset()
			}
		}
	})
	b.Run("sign/std", func(b *testing.B) {
		for b.Loop() {
			ed25519.Sign(private.key(), message)
		}
	})
	b.Run("sign/voi", func(b *testing.B) {
		for b.Loop() {
			curve.Sign(curve.PrivateKey(private.key()), message)
		}
	})
}
