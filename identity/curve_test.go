package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"

	curve25519 "github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
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
// is the same, with prepared keys, with others and together: but for signatures that only
// the owner of a key can make (TestCofactor), which no fuzzer finds.
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
		if got := together(ready, message, signature); got != want {
			t.Errorf("together: %v, crypto/ed25519 says %v", got, want)
		}
	})
}

// smallOrder are the points of small order, in their encodings.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000", // the neutral element
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
	"0000000000000000000000000000000000000000000000000000000000000000", // order 4
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}

// notCanonical are second encodings of points.
var notCanonical = []string{
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p for 0
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1 for 1
	"0100000000000000000000000000000000000000000000000000000000000080", // 1 with a sign
}

// TestWeakKeys: a key of small order, of which anything is a signature, verifies
// nothing, nor does a key in a second encoding, alone or together.
func TestWeakKeys(t *testing.T) {
	message := []byte("message")
	scalars := []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", // the order
	}
	others := 0
	for _, a := range append(smallOrder, notCanonical...) {
		key := PublicKey{KID: "1", Key: unhex(t, a)}
		for _, r := range append(smallOrder, notCanonical...) {
			for _, s := range scalars {
				signature := append(unhex(t, r), unhex(t, s)...)
				if oracle(key, message, signature) {
					others++
				}
				if key.verifies(message, signature) {
					t.Errorf("key %s signature %s %s: accepted", a, r, s)
				}
				text, err := json.Marshal(key)
				if err != nil {
					t.Fatal(err)
				}
				var ready PublicKey
				if json.Unmarshal(text, &ready) != nil {
					continue // no point of the curve: refused where it is read
				}
				if ready.verifies(message, signature) || together(ready, message, signature) {
					t.Errorf("prepared key %s signature %s %s: accepted", a, r, s)
				}
			}
		}
	}
	if others == 0 {
		t.Error("no case is one that crypto/ed25519 accepts: the table shows nothing")
	}
}

// TestCofactor: a signature whose R or whose key has a part of small order, as only
// the owner of the key can make it, is judged the same alone and among others: it
// verifies, by the equation of RFC 8032 section 5.1.7. crypto/ed25519 refuses some of them.
// One in a second encoding or with a scalar beyond the order is refused, alone and together.
func TestCofactor(t *testing.T) {
	message := []byte("message")
	refused := 0
	for _, partOfKey := range smallOrder {
		for _, partOfR := range smallOrder {
			key, signature := crafted(t, message, partOfKey, partOfR)
			ready := prepared(t, key)
			if !oracle(key, message, signature) {
				refused++
			}
			for name, ok := range map[string]bool{
				"plain":    key.verifies(message, signature),
				"prepared": ready.verifies(message, signature),
				"together": together(ready, message, signature),
			} {
				if !ok {
					t.Errorf("%s: key + %s, R + %s: want it accepted", name, partOfKey, partOfR)
				}
			}
			beyond := bytes.Clone(signature)
			addOrder(beyond[32:])
			if ready.verifies(message, beyond) || together(ready, message, beyond) {
				t.Errorf("key + %s, R + %s: accepted with a scalar beyond the order", partOfKey, partOfR)
			}
		}
	}
	if refused == 0 {
		t.Error("crypto/ed25519 refuses none: the table shows nothing")
	}
}

// crafted returns a key and its signature, to both of whose points a point of small
// order is added.
func crafted(tb testing.TB, message []byte, partOfKey, partOfR string) (PublicKey, []byte) {
	tb.Helper()
	secret, nonce := scalarOf(tb, "secret"), scalarOf(tb, "nonce")
	a, r := crooked(tb, secret, partOfKey), crooked(tb, nonce, partOfR)
	h := sha512.New()
	h.Write(r)
	h.Write(a)
	h.Write(message)
	var k, s scalar.Scalar
	if _, err := k.SetBytesModOrderWide(h.Sum(nil)); err != nil {
		tb.Fatal(err)
	}
	s.Mul(&k, secret)
	s.Add(&s, nonce)
	text := make([]byte, 32)
	if err := s.ToBytes(text); err != nil {
		tb.Fatal(err)
	}
	return PublicKey{KID: "1", Key: a}, append(r, text...)
}

func scalarOf(tb testing.TB, name string) *scalar.Scalar {
	tb.Helper()
	sum := sha512.Sum512([]byte(name))
	s, err := scalar.New().SetBytesModOrderWide(sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// crooked returns the encoding of s times the base point, plus a point of small order.
func crooked(tb testing.TB, s *scalar.Scalar, small string) []byte {
	tb.Helper()
	var point, other curve25519.EdwardsPoint
	var compressed curve25519.CompressedEdwardsY
	if _, err := compressed.SetBytes(unhex(tb, small)); err != nil {
		tb.Fatal(err)
	}
	if _, err := other.SetCompressedY(&compressed); err != nil {
		tb.Fatal(err)
	}
	point.MulBasepoint(curve25519.ED25519_BASEPOINT_TABLE, s)
	point.Add(&point, &other)
	compressed.SetEdwardsPoint(&point)
	return bytes.Clone(compressed[:])
}

// addOrder adds the order of the group to a scalar.
func addOrder(s []byte) {
	order, _ := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	carry := 0
	for i := range s {
		carry += int(s[i]) + int(order[i])
		s[i] = byte(carry)
		carry >>= 8
	}
}

// together reports whether a signature verifies among good ones.
func together(k PublicKey, message, signature []byte) bool {
	verifier := curve.NewBatchVerifier()
	for i := range 2 * leastTogether {
		private := newPrivateKey("1", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32)))
		verifier.AddWithOptions(curve.PublicKey(private.Public().Key), message, ed25519.Sign(private.key(), message), &rules)
	}
	verifier.AddExpandedWithOptions(k.ready, message, signature, &rules)
	return verifier.VerifyBatchOnly(rand.Reader)
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
	envelope, err := ParseEnvelope(private.Sign(message))
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{2, 4, 8, 16, 64} {
		checks := make([]Check, size)
		for i := range checks {
			checks[i] = Check{Envelope: &envelope, Keys: []PublicKey{ready}}
		}
		b.Run(fmt.Sprintf("verify/together/%d", size), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if i%size == 0 {
					VerifyAll(checks)
				}
			}
		})
	}
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
