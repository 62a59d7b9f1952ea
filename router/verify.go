package router

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// nobody stands in subjects for a sender whose token is not an identity; the
// broker's permissions let none of them in.
var nobody = identity.MustID("_")

// rechecker is a directory that can be asked past its cache.
type rechecker interface {
	Recheck(ctx context.Context, id identity.ID) (identity.Record, error)
}

// verifier turns the bytes of a message into an event or a refusal.
type verifier struct {
	opts    *Options
	metrics *metrics
	tracer  *tracer
	limiter *limiter
	log     logger
}

// verify fills in job after job, in parallel.
func (v verifier) verify(ctx context.Context, jobs []*job) {
	start := time.Now()
	parallel(len(jobs), 2*runtime.GOMAXPROCS(0), func(i int) {
		if jobs[i].event.Kind == call.Message {
			v.judge(ctx, jobs[i])
		}
		v.tracer.begin(ctx, jobs[i], start)
	})
}

// guarded is one, with a panic for a refusal: nobody is told, the message is kept.
func (v verifier) guarded(ctx context.Context, j *job) error {
	var err error
	if broke := guard(func() error { err = v.one(ctx, j); return nil }); broke != nil {
		v.log.Error("message cannot be read and is put aside under rejected.internal", "type", j.subjectType, "seq", j.event.Seq, "error", broke)
		j.sender, j.signer = identity.ID{}, identity.Router
		return refused(signal.CodeInternal, "the router could not process this message; the fault is not yours")
	}
	return err
}

// judge notes what is wrong with a message, if anything is.
func (v verifier) judge(ctx context.Context, j *job) {
	err := v.guarded(ctx, j)
	if refusal, ok := errors.AsType[*signal.Refusal](err); ok {
		j.refusal, j.key = refusal, ""
		if j.stops() && !j.sender.IsZero() {
			j.key = j.event.Msg.CID // whether it is stopped, its call decides
		}
	} else if err != nil {
		j.fault, j.key = err, ""
	}
}

// one reads one message: envelope, sender, signature, claims, time, destination.
// It returns a *[signal.Refusal], or another error if the message cannot be
// judged now.
func (v verifier) one(ctx context.Context, j *job) error {
	self, err := identity.ParseID(j.subjectSelf)
	if err != nil {
		j.subjectSelf = nobody.String()
		return refused(signal.CodeUnknownIdentity, "the subject names no identity")
	}
	j.signer = identity.Router
	typ, ok := signal.ParseType(j.subjectType)

	sender, err := v.look(ctx, self)
	if err != nil {
		return err
	}
	limit := within
	if j.event.Delivery == 1 {
		limit = v.limiter.take(self, sender.Role, typ, j.event.At)
	}
	if limit == silent || limit == over {
		v.metrics.rateLimited.Inc()
	}
	if limit == silent {
		return errRateLimited
	}
	j.quiet = limit == quiet
	payload, sender, err := v.open(ctx, j.raw, self, sender)
	if err != nil {
		return err
	}
	j.sender = self
	m, err := signal.Decode(payload)
	if err == nil {
		v.answerTo(j, m)
	} else {
		v.address(j, payload)
	}
	switch {
	case limit == over:
		return errRateLimited
	case !ok:
		return refused(signal.CodeUnknownType, "the last token of the subject is no message type")
	case err != nil:
		return err
	case m.Type != typ:
		return refused(signal.CodeTypeMismatch, "claim typ differs from the type in the subject")
	case m.Issuer != self:
		return refused(signal.CodeWrongIssuer, "claim iss differs from the identity in the subject")
	}
	if err := m.InTime(j.event.At, v.opts.MaxMessageAge); err != nil {
		return err
	}
	j.event.Msg = m
	return v.route(ctx, j, sender.Role)
}

var errRateLimited = refused(signal.CodeRateLimited, "too many messages or starts: slow down; stop and busy are never limited")

// look finds the record of the sender.
func (v verifier) look(ctx context.Context, self identity.ID) (identity.Record, error) {
	record, err := v.opts.Directory.Lookup(ctx, self)
	switch {
	case err == nil && record.Revoked:
		return record, refused(signal.CodeRevoked, "the identity is revoked")
	case errors.Is(err, identity.ErrUnknown):
		return record, refused(signal.CodeUnknownIdentity, "the sender is not in the directory")
	case errors.Is(err, identity.ErrRecord):
		v.log.limited("identity record is broken: its owner cannot speak until it is mended",
			"bucket", subjects.BucketIdentities, "key", self.String(), "error", err)
		return record, refused(signal.CodeUnknownIdentity, "the sender is not in the directory")
	default:
		return record, err
	}
}

// open returns the payload of an envelope whose signature is the sender's. In a
// network without signatures the broker's permissions are all that says who the
// sender is.
func (v verifier) open(ctx context.Context, raw []byte, self identity.ID, sender identity.Record) ([]byte, identity.Record, error) {
	if v.opts.Unsigned {
		envelope, err := identity.ParseUnverified(raw)
		if err != nil {
			return nil, sender, envelopeRefusal(err)
		}
		return envelope.Payload, sender, nil
	}
	envelope, err := identity.ParseEnvelope(raw)
	if err != nil {
		return nil, sender, envelopeRefusal(err)
	}
	sender, err = v.authenticate(ctx, self, sender, &envelope)
	return envelope.Payload, sender, err
}

// authenticate verifies the signature with the keys of the record, read anew if
// it lacks the key that the envelope names.
func (v verifier) authenticate(ctx context.Context, self identity.ID, record identity.Record, envelope *identity.Envelope) (identity.Record, error) {
	err := envelope.Verify(record.Keys)
	if r, ok := v.opts.Directory.(rechecker); ok && errors.Is(err, identity.ErrUnknownKey) {
		if record, err = r.Recheck(ctx, self); err != nil {
			return record, err
		}
		if record.Revoked {
			return record, refused(signal.CodeRevoked, "the identity is revoked")
		}
		err = envelope.Verify(record.Keys)
	}
	switch {
	case errors.Is(err, identity.ErrUnknownKey):
		return record, refused(signal.CodeUnknownKey, "the sender has no key with the kid of the header")
	case err != nil:
		return record, refused(signal.CodeBadSignature, "the signature does not verify")
	default:
		return record, nil
	}
}

// answerTo notes what an answer to the sender of m needs, should m be refused.
func (v verifier) answerTo(j *job, m signal.Message) {
	if _, ours := v.opts.Proxies[m.Recipient]; ours {
		j.signer = m.Recipient
	}
	j.event.Msg = signal.Message{JTI: m.JTI, CID: m.CID, CallID: m.CallID}
}

// address reads, as far as possible, what an answer to the sender needs, from a
// payload whose other claims may be wrong.
func (v verifier) address(j *job, payload []byte) {
	var claims map[string]jsontext.Value
	if json.Unmarshal(payload, &claims) != nil {
		return
	}
	read := func(name string) (text string) {
		if json.Unmarshal(claims[name], &text) != nil {
			return ""
		}
		return text
	}
	if sub, err := identity.ParseID(read("sub")); err == nil {
		if _, ours := v.opts.Proxies[sub]; ours {
			j.signer = sub
		}
	}
	m := &j.event.Msg
	if jti := read("jti"); len(jti) <= signal.MaxJTI {
		m.JTI = jti
	}
	if cid := read("cid"); subjects.ValidCID(cid) {
		m.CID = cid
	}
	if callID := read("call_id"); subjects.ValidCallID(callID) {
		m.CallID = callID
	}
}

// route tells masked from direct and judges the roles of direct messages.
func (v verifier) route(ctx context.Context, j *job, sender identity.Role) error {
	m := &j.event.Msg
	if _, ours := v.opts.Proxies[m.Recipient]; ours {
		j.mode, j.key = call.Masked, m.CID
		return nil
	}
	j.mode = call.Direct
	if m.Type == signal.Error || m.Type == signal.Setup && sender != identity.RoleApp {
		return refused(signal.CodeWrongRole, "messages of this type are not yours to send")
	}
	recipient, err := v.opts.Directory.Lookup(ctx, m.Recipient)
	missing := errors.Is(err, identity.ErrUnknown) || errors.Is(err, identity.ErrRecord) || recipient.Revoked
	switch {
	case err != nil && !missing:
		return err
	case m.Recipient == m.Issuer, sender != identity.RoleApp && (missing || recipient.Role != identity.RoleApp):
		// The same words for a user and for nobody: directories are not for
		// guessing in.
		return refused(signal.CodeForbidden, "you may not address this recipient")
	case missing:
		return refused(signal.CodeUnknownRecipient, "the recipient is not in the directory or is revoked")
	}
	j.key = subjects.DirectKey(m.CID, m.Issuer.String(), m.Recipient.String())
	return nil
}

func envelopeRefusal(err error) error {
	switch {
	case errors.Is(err, identity.ErrAlgorithm):
		return refused(signal.CodeBadAlgorithm, err.Error())
	case errors.Is(err, identity.ErrHeader):
		return refused(signal.CodeBadHeader, err.Error())
	default:
		return refused(signal.CodeMalformed, err.Error())
	}
}

func refused(code signal.Code, detail string) *signal.Refusal {
	return &signal.Refusal{Code: code, Detail: detail}
}

// parallel calls do(0) ... do(n-1) on at most limit goroutines and returns when
// all have returned.
func parallel(n, limit int, do func(i int)) {
	if limit = min(n, limit); limit <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range limit {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}
