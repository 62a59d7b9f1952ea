package security

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestConnecting(t *testing.T) { play(t, newArena(t, nil), connectAttacks()) }

// turnedAway is an attack that does not get a connection.
func turnedAway(id, what string, result auth.Result, options func(a *arena) [][]nats.Option) attack {
	return attack{id: id, what: what, do: func(a *arena, _ *peer) {
		for _, opts := range options(a) {
			before := a.decisions(result)
			nc, err := a.Connect(append(opts, nats.NoReconnect())...)
			if err == nil {
				nc.Close()
				a.t.Error("the connection was opened")
				continue
			}
			if !errors.Is(err, nats.ErrAuthorization) || err.Error() != "nats: Authorization Violation" {
				a.t.Errorf("got %v, want an authorization violation and no more", err)
			}
			if got := a.decisions(result); got != before+1 {
				a.t.Errorf("%v decisions %s after %v, want one more", got, result, before)
			}
		}
	}, want: nothing("auth callout", "authorization violation, counted as `"+string(result)+"`", false, func(*arena, *peer) {})}
}

// decisions returns voicerouter_auth_decisions_total for a result.
func (a *arena) decisions(result auth.Result) float64 {
	a.t.Helper()
	families, err := a.doors.Gather()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "voicerouter_auth_decisions_total" && m.GetLabel()[0].GetValue() == string(result) {
				return m.GetCounter().GetValue()
			}
		}
	}
	a.t.Fatalf("no decisions are counted as %s", result)
	return 0
}

// keyOf returns options that log in with the key of an identity under any names.
func keyOf(who string, names ...string) func(a *arena) [][]nats.Option {
	return func(a *arena) (list [][]nats.Option) {
		pair := a.Get(a.t, who).NKey
		for _, name := range names {
			list = append(list, []nats.Option{nats.Name(name), nats.Nkey(public(a, pair), pair.Sign)})
		}
		return list
	}
}

func public(a *arena, pair nkeys.KeyPair) string {
	a.t.Helper()
	key, err := pair.PublicKey()
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

// signing logs in with the operator's name and public key and another signature.
func signing(sign func(a *arena, nonce []byte) ([]byte, error)) func(a *arena) [][]nats.Option {
	return func(a *arena) [][]nats.Option {
		return [][]nats.Option{{nats.Name(operator), nats.Nkey(a.op.id.Record.NKey, func(nonce []byte) ([]byte, error) { return sign(a, nonce) })}}
	}
}

func connectAttacks() []attack {
	return []attack{
		turnedAway("C01", "connect with another's name and one's own key", auth.WrongKey, keyOf(mallory, operator, proxy)),
		turnedAway("C02", "connect with another's public key and a signature of one's own", auth.BadSignature, signing(func(a *arena, nonce []byte) ([]byte, error) {
			return a.Get(a.t, mallory).NKey.Sign(nonce)
		})),
		turnedAway("C03", "connect with a signature that another made for another connection", auth.BadSignature, signing(func(a *arena, _ []byte) ([]byte, error) {
			return a.op.id.NKey.Sign([]byte("a nonce of yesterday"))
		})),
		turnedAway("C04", "connect with no signature, or an empty one", auth.NoKey, signing(func(*arena, []byte) ([]byte, error) { return nil, nil })),
		turnedAway("C05", "connect under a name that is not registered", auth.Unknown, keyOf(mallory, nobody, "router", "admin", "backend")),
		turnedAway("C06", "connect under one's own name with a key that is not registered", auth.WrongKey, func(a *arena) [][]nats.Option {
			pair, err := nkeys.CreateUser()
			if err != nil {
				a.t.Fatal(err)
			}
			return [][]nats.Option{{nats.Name(mallory), nats.Nkey(public(a, pair), pair.Sign)}}
		}),
		turnedAway("C07", "connect as a revoked identity", auth.Revoked, keyOf(revoked, revoked)),
		turnedAway("C08", "connect under a name with wildcards", auth.BadName, keyOf(mallory, "*", ">", mallory+".>", mallory+".*", "*.>")),
		turnedAway("C09", "connect under a name with dots, blanks, line breaks, or none", auth.BadName, keyOf(mallory, "a.b", mallory+" ", " ", "", "a\r\nPUB x 0", strings.Repeat("a", 65), "ä", mallory+"\x00")),
		turnedAway("C10", "connect with nothing, a password or a token", auth.NoKey, func(*arena) [][]nats.Option {
			return [][]nats.Option{
				{nats.Name(mallory)}, {nats.Name(operator), nats.UserInfo(broker.UserAdmin, "admin")}, {nats.Name(operator), nats.Token("x")},
			}
		}),
		turnedAway("C11", "connect with a user JWT of one's own making", auth.NoKey, ownJWT),
		pipelined(), reconnected(), discarded(),
	}
}

// ownJWT logs in with a JWT that permits everything, issued by nobody known.
func ownJWT(a *arena) [][]nats.Option {
	account, err := nkeys.CreateAccount()
	if err != nil {
		a.t.Fatal(err)
	}
	pair := a.Get(a.t, mallory).NKey
	claims := jwt.NewUserClaims(public(a, pair))
	claims.Name = operator
	claims.Pub.Allow.Add(">")
	claims.Sub.Allow.Add(">")
	token, err := claims.Encode(account)
	if err != nil {
		a.t.Fatal(err)
	}
	return [][]nats.Option{{nats.Name(operator), nats.UserJWT(func() (string, error) { return token, nil }, pair.Sign)}}
}

// wire is a connection without any client.
type wire struct {
	a *arena
	net.Conn
	r     *bufio.Reader
	nonce string
}

func (a *arena) wire() *wire {
	a.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(a.URL(), "nats://"))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = c.Close() })
	w := &wire{a: a, Conn: c, r: bufio.NewReader(c)}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		a.t.Fatal(err)
	}
	var info struct{ Nonce string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(w.line(), "INFO ")), &info); err != nil {
		a.t.Fatal(err)
	}
	w.nonce = info.Nonce
	return w
}

func (w *wire) line() string {
	w.a.t.Helper()
	s, err := w.r.ReadString('\n')
	if err != nil {
		return "closed"
	}
	return strings.TrimSpace(s)
}

func (w *wire) write(text string) {
	w.a.t.Helper()
	if _, err := w.Write([]byte(text)); err != nil {
		w.a.t.Fatal(err)
	}
}

// hello returns a CONNECT of an identity's key under a name.
func (w *wire) hello(key, name string) string {
	w.a.t.Helper()
	pair := w.a.Get(w.a.t, key).NKey
	signature, err := pair.Sign([]byte(w.nonce))
	if err != nil {
		w.a.t.Fatal(err)
	}
	return fmt.Sprintf(`CONNECT {"verbose":false,"headers":true,"protocol":1,"name":%q,"nkey":%q,"sig":%q}`+"\r\n",
		name, public(w.a, pair), base64.RawURLEncoding.EncodeToString(signature))
}

// until reads lines up to one that begins with one of these.
func (w *wire) until(starts ...string) string {
	w.a.t.Helper()
	for {
		line := w.line()
		for _, s := range starts {
			if strings.HasPrefix(line, s) {
				return line
			}
		}
		if line == "closed" {
			return line
		}
	}
}

// pipelined sends everything before the broker has decided.
func pipelined() attack {
	return attack{id: "C12", what: "send and subscribe before the broker has decided about the connection", do: func(a *arena, _ *peer) {
		w := a.wire()
		w.write(w.hello(mallory, operator) +
			fmt.Sprintf("SUB %s 1\r\nPUB %s %d\r\n%s\r\nPING\r\n", subjects.LiveAll(operator), subjects.Voice(operator, "stop"), len(secret), secret))
		if got := w.until("-ERR", "PONG"); !strings.Contains(got, "Authorization Violation") {
			a.t.Errorf("got %q, want an authorization violation", got)
		}
		if got := w.until("MSG", "PONG"); got != "closed" {
			a.t.Errorf("got %q, want the connection closed", got)
		}
	}, want: nothing(byBroker, "authorization violation, the connection is closed, nothing of it is seen", false, func(*arena, *peer) {})}
}

// reconnected logs in once more, as somebody else, on a connection that stands.
func reconnected() attack {
	return attack{id: "C13", what: "change the name of a connection that stands with another CONNECT", do: func(a *arena, _ *peer) {
		w := a.wire()
		w.write(w.hello(mallory, mallory) + "PING\r\n")
		if got := w.until("-ERR", "PONG"); got != "PONG" {
			a.t.Fatalf("got %q, want PONG", got)
		}
		w.write(w.hello(mallory, operator) + fmt.Sprintf("PUB %s %d\r\n%s\r\nSUB %s 7\r\nPING\r\n",
			subjects.Voice(operator, "stop"), len(secret), secret, subjects.LiveAll(operator)))
		if got := w.until("-ERR", "PONG"); !strings.HasPrefix(got, "-ERR") {
			a.t.Errorf("got %q, want an error", got)
		}
	}, want: nothing(byBroker, "refused: the connection stays who it is, or is closed; nothing of it is seen", false, func(*arena, *peer) {})}
}

// discarded goes on with a connection whose identity has been revoked.
func discarded() attack {
	return attack{id: "C14", what: "go on with a connection, and with signatures, after being revoked", as: accomplice, do: func(a *arena, x *peer) {
		stop := x.sign(x.claims(signal.Stop, own, "k"))
		before := a.decisions(auth.Revoked)
		a.Revoke(a.t, accomplice)
		eventually(a.t, "the connection is cut and turned away", func() bool { return a.decisions(auth.Revoked) > before && !x.nc.IsConnected() })
		a.store(subjects.Voice(accomplice, "stop"), stop)
		a.kept(signal.CodeRevoked, accomplice, stop)
	}, want: nothing("auth callout, worker", "the connection is cut, a new one is turned away, what is signed is refused with `revoked`", true, func(*arena, *peer) {}), revokes: true}
}
