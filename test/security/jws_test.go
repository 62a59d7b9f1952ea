package security

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

func TestSignatures(t *testing.T) { play(t, newArena(t, nil), jwsAttacks()) }

var b64 = base64.RawURLEncoding

// parts are the members of a flattened JWS.
type parts struct{ Payload, Protected, Signature string }

func (p parts) bytes() []byte {
	return []byte(`{"payload":"` + p.Payload + `","protected":"` + p.Protected + `","signature":"` + p.Signature + `"}`)
}

// stop returns claims of the operator that would end the victims' call, with the
// attacker as the issuer unless as says otherwise.
func (p *peer) stop(as string) []byte {
	m := p.claims(signal.Stop, victims, current)
	m.Issuer = identity.MustID(as)
	payload, err := m.Encode()
	if err != nil {
		p.a.t.Fatal(err)
	}
	return payload
}

// sealed signs a payload of the attacker with its own key under any header.
func (p *peer) sealed(header string, payload []byte) parts {
	s := parts{Payload: b64.EncodeToString(payload), Protected: b64.EncodeToString([]byte(header))}
	var good parts
	if err := json.Unmarshal(p.id.Key.Sign(payload), &good); err != nil {
		p.a.t.Fatal(err)
	}
	s.Signature = good.Signature // over the good header
	return s
}

// headerOf is an attack with a protected header that is the attacker's own.
func headerOf(id, what, header string, code signal.Code) attack {
	return refused(id, what, signal.Stop, code, func(_ *arena, x *peer) []byte { return x.sealed(header, x.stop(mallory)).bytes() })
}

// changed is an attack with a good message whose bytes are changed.
func changed(id, what string, code signal.Code, change func(parts) []byte) attack {
	return refused(id, what, signal.Stop, code, func(_ *arena, x *peer) []byte {
		return change(x.sealed(`{"alg":"EdDSA","kid":"1"}`, x.stop(mallory)))
	})
}

func jwsAttacks() []attack {
	return append(algorithms(), append(envelopes(), keys()...)...)
}

func algorithms() []attack {
	return []attack{
		headerOf("J01", "`alg` is `none`", `{"alg":"none","kid":"1"}`, signal.CodeBadAlgorithm),
		refused("J02", "`alg` is `none` and the signature is empty", signal.Stop, signal.CodeBadAlgorithm, func(_ *arena, x *peer) []byte {
			p := x.sealed(`{"alg":"none","kid":"1"}`, x.stop(mallory))
			p.Signature = ""
			return p.bytes()
		}),
		refused("J03", "`alg` is `HS256` with the public key as the secret", signal.Stop, signal.CodeBadAlgorithm, func(_ *arena, x *peer) []byte {
			p := x.sealed(`{"alg":"HS256","kid":"1"}`, x.stop(mallory))
			mac := hmac.New(sha256.New, x.id.Record.Keys[0].Key)
			mac.Write([]byte(p.Protected + "." + p.Payload))
			p.Signature = b64.EncodeToString(mac.Sum(nil))
			return p.bytes()
		}),
		headerOf("J04", "`alg` is another curve", `{"alg":"ES256","kid":"1"}`, signal.CodeBadAlgorithm),
		headerOf("J05", "`alg` in another case, or missing", `{"alg":"eddsa","kid":"1"}`, signal.CodeBadAlgorithm),
		headerOf("J06", "`crit` with an extension", `{"alg":"EdDSA","kid":"1","crit":["exp"],"exp":1}`, signal.CodeBadHeader),
		headerOf("J07", "`b64` false: the payload is signed otherwise", `{"alg":"EdDSA","kid":"1","b64":false,"crit":["b64"]}`, signal.CodeBadHeader),
		headerOf("J08", "`jwk`: bring a key along", `{"alg":"EdDSA","kid":"1","jwk":{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}`, signal.CodeBadHeader),
		headerOf("J09", "`jku` or `x5u`: have a key fetched", `{"alg":"EdDSA","kid":"1","jku":"http://127.0.0.1:1/keys"}`, signal.CodeBadHeader),
		headerOf("J10", "`alg` twice", `{"alg":"none","alg":"EdDSA","kid":"1"}`, signal.CodeBadHeader),
		headerOf("J11", "`typ` of another kind of token", `{"alg":"EdDSA","kid":"1","typ":"at+jwt"}`, signal.CodeBadHeader),
		headerOf("J12", "a protected header that is no object", `["EdDSA"]`, signal.CodeBadHeader),
		headerOf("J13", "`kid` missing", `{"alg":"EdDSA"}`, signal.CodeBadHeader),
		headerOf("J14", "`kid` is a path", `{"alg":"EdDSA","kid":"../../keys/proxy.jwk"}`, signal.CodeUnknownKey),
		headerOf("J15", "`kid` with a zero byte behind a known one", `{"alg":"EdDSA","kid":"1\u0000"}`, signal.CodeUnknownKey),
		headerOf("J16", "`kid` names the key of another identity", `{"alg":"EdDSA","kid":"`+operator+`"}`, signal.CodeUnknownKey),
	}
}

func envelopes() []attack {
	return []attack{
		changed("J20", "an unprotected header", signal.CodeMalformed, func(p parts) []byte {
			return []byte(strings.Replace(string(p.bytes()), "{", `{"header":{"kid":"1"},`, 1))
		}),
		changed("J21", "`payload` twice", signal.CodeMalformed, func(p parts) []byte {
			return []byte(strings.Replace(string(p.bytes()), "{", `{"payload":"e30",`, 1))
		}),
		changed("J22", "`payload` twice, once with an escape", signal.CodeMalformed, func(p parts) []byte {
			return []byte(strings.Replace(string(p.bytes()), "{", `{"\u0070ayload":"e30",`, 1))
		}),
		changed("J23", "names of members in another case", signal.CodeMalformed, func(p parts) []byte {
			return []byte(strings.Replace(string(p.bytes()), "payload", "Payload", 1))
		}),
		changed("J24", "a JWS in general serialization with two signatures", signal.CodeMalformed, func(p parts) []byte {
			s := `{"protected":"` + p.Protected + `","signature":"` + p.Signature + `"}`
			return []byte(`{"payload":"` + p.Payload + `","signatures":[` + s + `,` + s + `]}`)
		}),
		changed("J25", "a JWS in compact serialization", signal.CodeMalformed, func(p parts) []byte { return []byte(p.Protected + "." + p.Payload + "." + p.Signature) }),
		changed("J26", "something behind the JWS", signal.CodeMalformed, func(p parts) []byte { return append(p.bytes(), p.bytes()...) }),
		changed("J27", "base64url with padding", signal.CodeMalformed, func(p parts) []byte {
			p.Signature += "=="
			return p.bytes()
		}),
		changed("J28", "another spelling of the same signature", signal.CodeMalformed, func(p parts) []byte {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := len(p.Signature) - 1 // 64 bytes leave four bits unused
			p.Signature = p.Signature[:last] + string(alphabet[strings.IndexByte(alphabet, p.Signature[last])^1])
			return p.bytes()
		}),
		changed("J29", "another signature made of a good one (S plus the order of the group)", signal.CodeBadSignature, func(p parts) []byte {
			p.Signature = malleable(p.Signature)
			return p.bytes()
		}),
		changed("J30", "a signature of zeros", signal.CodeBadSignature, func(p parts) []byte {
			p.Signature = b64.EncodeToString(make([]byte, ed25519.SignatureSize))
			return p.bytes()
		}),
		changed("J31", "another payload under a good signature", signal.CodeBadSignature, func(p parts) []byte {
			p.Payload = b64.EncodeToString([]byte(strings.Replace(string(must(b64.DecodeString(p.Payload))), current, "k2", 1)))
			return p.bytes()
		}),
		refused("J32", "claims twice: one for the signature, one for the reader", signal.Stop, signal.CodeBadClaims, func(_ *arena, x *peer) []byte {
			return x.id.Key.Sign([]byte(strings.Replace(string(x.stop(mallory)), "{", `{"iss":"`+operator+`",`, 1)))
		}, signal.Error),
	}
}

// malleable adds the order of the group to S (RFC 8032 section 5.1.7 forbids it).
func malleable(signature string) string {
	raw := must(b64.DecodeString(signature))
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(raw[32:])
	slices.Reverse(s)
	s = new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(s)
	return b64.EncodeToString(append(raw[:32:32], s...))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func keys() []attack {
	stop := func(name string, as func(x *peer) string) func(*arena, *peer) []byte {
		return func(a *arena, x *peer) []byte { return a.Get(a.t, name).Key.Sign(x.stop(as(x))) }
	}
	me := func(x *peer) string { return x.id.ID.String() }
	return []attack{
		refused("J40", "a message of the operator, signed with the operator's key, on one's own subject", signal.Stop, signal.CodeBadSignature, stop(operator, func(*peer) string { return operator })),
		refused("J41", "one's own message, signed with a stolen key of another", signal.Stop, signal.CodeBadSignature, stop(operator, me)),
		refused("J42", "a message in the proxy's name, signed with the proxy's key", signal.Stop, signal.CodeBadSignature, stop(proxy, func(*peer) string { return proxy })),
		refused("J43", "one's own signature, the operator as `iss`", signal.Stop, signal.CodeWrongIssuer, stop(mallory, func(*peer) string { return operator }), signal.Error),
		refused("J44", "another type in the subject than in the claims", signal.Busy, signal.CodeTypeMismatch, stop(mallory, me), signal.Error),
		inside("J45", "on the operator's subject, past the broker, with one's own key", operator, mallory, operator, signal.CodeBadSignature),
		inside("J46", "on the operator's subject, past the broker, with a good signature of one's own and `iss` one's own", operator, mallory, mallory, signal.CodeBadSignature),
		inside("J47", "past the broker on the subject of an identity that is not registered", nobody, mallory, nobody, signal.CodeUnknownIdentity),
		inside("J48", "past the broker as a revoked identity, signed well", revoked, revoked, revoked, signal.CodeRevoked),
		inside("J49", "past the broker in the proxy's own name", proxy, mallory, proxy, signal.CodeBadSignature),
	}
}

// inside is an attack of somebody who gets past the broker's permissions: the
// administrator stores it. The signature still has to be that of the identity in
// the subject.
func inside(id, what, subject, key, iss string, code signal.Code) attack {
	return attack{id: id, what: what, as: mallory, insider: subject, do: func(a *arena, x *peer) {
		before := a.count("refused", code)
		data := a.Get(a.t, key).Key.Sign(x.stop(iss))
		a.store("voice."+subject+".stop", data)
		a.kept(code, subject, data)
		eventually(a.t, "counted", func() bool { return a.count("refused", code) == before+1 })
	}, want: nothing(byWorker, "refused with `"+string(code)+"`, kept and counted", true, func(_ *arena, x *peer) { x.told(code) })}
}
