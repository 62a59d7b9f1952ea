package redact_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/redact"
)

const sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\na=ice-pwd:verysecretpassword\r\n"

func logger(level slog.Level) (*slog.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	return slog.New(redact.Handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))), &out
}

// TestNoSecretPasses: each secret, however it is logged.
func TestNoSecretPasses(t *testing.T) {
	t.Parallel()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	curve, err := nkeys.CreateCurveKeys()
	if err != nil {
		t.Fatal(err)
	}
	xseed, err := curve.Seed()
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.GenerateKey("1")
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	d := string(jwk)[strings.Index(string(jwk), `"d":"`)+5:][:40]
	for what, s := range map[string]struct{ text, inside string }{
		"nkey seed":   {string(seed), string(seed[10:40])},
		"xkey seed":   {string(xseed), string(xseed[10:40])},
		"private JWK": {string(jwk), d},
		"creds file":  {"-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n", string(seed[10:40])},
		"PEM key":     {"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\n-----END PRIVATE KEY-----", "MC4CAQAwBQYDK2VwBCIEIJ"},
		"JWT":         {"eyJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl", "c2lnbmF0dXJl"},
		"JWS":         {`{"payload":"eyJ0eXAiOiJjaGF0LnZvaWNl","protected":"eyJhbGciOiJFZERTQSJ9"}`, "eyJ0eXAi"},
		"SDP":         {sdp, "verysecretpassword"},
		"URL":         {"connect to nats://worker:passw0rd@nats:4222", "passw0rd"},
	} {
		log, out := logger(slog.LevelDebug)
		log.Debug("about " + s.text)
		log.Info("x", "detail", s.text)
		log.Info("x", "error", fmt.Errorf("wrapped: %w", errors.New(s.text)))
		log.Info("x", "any", struct{ Inner string }{s.text})
		log.Info("x", slog.Group("g", slog.String("inner", s.text)))
		log.With("early", s.text).WithGroup("h").Info("x")
		for _, name := range []string{"data", "peer_info", "payload", "seed", "jwt", "password", "token", "Peer_Info", "nkey-seed"} {
			log.Info("x", name, s.inside)
		}
		log.Info("x", "raw", []byte(s.inside))
		log.Info("x", "lazy", lazy(s.text))
		if strings.Contains(out.String(), s.inside) {
			t.Errorf("%s: want it redacted, got\n%s", what, out)
		}
		if n := strings.Count(out.String(), redact.Text); n < 15 {
			t.Errorf("%s: want every place marked, got %d marks in\n%s", what, n, out)
		}
	}
}

type lazy string

func (l lazy) LogValue() slog.Value { return slog.StringValue(string(l)) }

// TestTheRestStays: a log that says nothing protects nothing.
func TestTheRestStays(t *testing.T) {
	t.Parallel()
	log, out := logger(slog.LevelInfo)
	log.Debug("below the level")
	log.WithGroup("g").With("n", 3).Warn("broken route", "bucket", "voice_routes", "key", "c1",
		"identity", identity.MustID("1112223334"), "issuer", "ADKZ3R6DPWHQ6DRM3Y6Y2E4ICYYJXHBHMPJJYKJ3HV2LJO3BLFJGDBHK",
		"error", errors.New("no such route"), "url", "nats://nats:4222", "nothing", nil)
	for _, want := range []string{
		"broken route", "g.n=3", "g.bucket=voice_routes", "g.key=c1", "g.identity=1112223334", "g.issuer=ADKZ", `g.error="no such route"`, "g.url=nats://nats:4222",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in the log, got %s", want, out)
		}
	}
	if strings.Contains(out.String(), "below") || strings.Contains(out.String(), redact.Text) {
		t.Errorf("want nothing below the level and nothing redacted, got %s", out)
	}
}
