// Package redact keeps secrets and the content of calls out of the log: keys,
// tokens, claims and session descriptions, whoever logs them by mistake, at any
// level.
package redact

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// Text stands in a log for what was there.
const Text = "[redacted]"

// handler passes records on, redacted.
type handler struct{ next slog.Handler }

// Handler returns a handler that redacts records and passes them on to next. An
// attribute is redacted as a whole if its name says that it holds a secret or
// content, or if its value is raw bytes; from every other text, the message and
// errors included, seeds, JWTs, signed messages, PEM keys and session
// descriptions are cut out.
func Handler(next slog.Handler) slog.Handler { return handler{next} }

// Enabled implements [slog.Handler].
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, String(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(attr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.next.WithAttrs(all(attrs))}
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler { return handler{h.next.WithGroup(name)} }

func all(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = attr(a)
	}
	return clean
}

func attr(a slog.Attr) slog.Attr {
	if secret(a.Key) {
		return slog.String(a.Key, Text)
	}
	return slog.Attr{Key: a.Key, Value: value(a.Value.Resolve())}
}

func value(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(String(v.String()))
	case slog.KindGroup:
		return slog.GroupValue(all(v.Group())...)
	case slog.KindAny:
		return anyValue(v.Any())
	default: // numbers and times
		return v
	}
}

func anyValue(v any) slog.Value {
	switch v := v.(type) {
	case nil:
		return slog.AnyValue(nil)
	case []byte: // a payload, a key: nothing else comes as bytes
		return slog.StringValue(Text)
	case error:
		return slog.StringValue(String(v.Error()))
	case fmt.Stringer:
		return slog.StringValue(String(v.String()))
	default:
		return slog.StringValue(String(fmt.Sprintf("%+v", v)))
	}
}

// names of attributes that hold a secret or content. "key" is none of them: in
// this service it is the key of a record.
var names = map[string]bool{
	"data": true, "peer_info": true, "peerinfo": true, "sdp": true, "offer": true, "payload": true, "claims": true, "body": true,
	"message": true, "envelope": true, "signature": true, "sig": true, "nonce": true,
	"seed": true, "jwt": true, "password": true, "pass": true, "token": true, "auth_token": true, "secret": true,
	"creds": true, "credentials": true, "private_key": true, "privatekey": true, "signing_key": true, "d": true,
}

// secret reports whether the name of an attribute says that its value must not be
// seen.
func secret(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	return names[name] || strings.HasSuffix(name, "_seed") || strings.HasSuffix(name, "_password") ||
		strings.HasSuffix(name, "_token") || strings.HasSuffix(name, "_secret") || strings.HasSuffix(name, "_jwt")
}

// patterns of what is cut out of text, wherever it stands.
var patterns = regexp.MustCompile(strings.Join([]string{
	`\bS[ACNOUX][A-Z2-7]{56}\b`,                                // nkey seeds
	`\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){0,2}`,            // JWT, parts of a JWS
	`(?s)-----BEGIN [A-Z0-9 ]+-----.*?(-----END [^-]+-----|$)`, // PEM, creds files
	`(?s)\bv=0\s.*`,     // SDP, to the end: it is many lines
	`"d"\s*:\s*"[^"]*"`, // the secret member of a JWK
	`://[^/@\s]+@`,      // user and password of a URL
}, "|"))

// String returns s without what looks like a secret or content.
func String(s string) string {
	if len(s) < 6 {
		return s
	}
	return patterns.ReplaceAllStringFunc(s, func(found string) string {
		if strings.HasPrefix(found, "://") {
			return "://" + Text + "@"
		}
		return Text
	})
}
