package router

import (
	"context"
	"errors"
	"runtime"
	"slices"
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

// verify fills in the jobs, in parallel.
func (v verifier) verify(ctx context.Context, jobs []*job) {
	start := time.Now()
	readings := make([]reading, len(jobs))
	parallel(len(jobs), lookups, func(i int) {
		r := &readings[i]
		r.job = jobs[i]
		if r.done = v.begun(ctx, r); r.done {
			v.tracer.begin(ctx, r.job, start)
		}
	})
	readings = slices.DeleteFunc(readings, func(r reading) bool { return r.done })
	parts := slices.Collect(slices.Chunk(readings, share(len(readings))))
	parallel(len(parts), lookups, func(i int) {
		v.part(ctx, parts[i])
		for k := range parts[i] {
			v.tracer.begin(ctx, parts[i][k].job, start)
		}
	})
}

// lookups is how many messages are looked at side by side: a sender who is not in the
// directory's cache is read from the server.
const lookups = 16

// share is how many of n signatures are verified together: every processor has a part,
// and none has so much to do at once that another waits for it.
func share(n int) int {
	const most = 64
	processors := runtime.GOMAXPROCS(0)
	return max(1, min(most, (n+processors-1)/processors))
}

// begun reads a message and reports whether it is judged by that, or is none.
func (v verifier) begun(ctx context.Context, r *reading) (done bool) {
	if r.job.event.Kind != call.Message {
		return true
	}
	err := v.guarded(r.job, func() error { return v.read(ctx, r) })
	r.job.judged(err)
	return err != nil
}

// part verifies the signatures of messages together, and judges them.
func (v verifier) part(ctx context.Context, readings []reading) {
	signatures := v.signatures(readings)
	for i := range readings {
		r := &readings[i]
		r.job.judged(v.guarded(r.job, func() error { return v.judge(ctx, r, signatures(i)) }))
	}
}

// signatures verifies the signatures of all and returns what was found of each, by its
// index. In a network without signatures the broker's permissions are all that says who
// the sender is.
func (v verifier) signatures(readings []reading) func(i int) error {
	if v.opts.Unsigned {
		return func(int) error { return nil }
	}
	checks := make([]identity.Check, len(readings))
	for i := range readings {
		checks[i] = identity.Check{Envelope: &readings[i].envelope, Keys: readings[i].sender.Keys}
	}
	if guard(func() error { identity.VerifyAll(checks); return nil }) != nil {
		// One of them breaks it; alone, it is found out.
		return func(i int) error { return checks[i].Envelope.Verify(checks[i].Keys) }
	}
	return func(i int) error { return checks[i].Err }
}

// guarded is do, with a panic for a refusal: nobody is told, the message is kept.
func (v verifier) guarded(j *job, do func() error) error {
	var err error
	if broke := guard(func() error { err = do(); return nil }); broke != nil {
		v.log.Error("message cannot be read and is put aside under rejected.internal", "type", j.subjectType, "seq", j.event.Seq, "error", broke)
		j.sender, j.signer = identity.ID{}, identity.Router
		return refused(signal.CodeInternal, "the router could not process this message; the fault is not yours")
	}
	return err
}

// judged notes what is wrong with a message, if anything is: err is a
// [signal.Refusal], or else the message cannot be judged now.
func (j *job) judged(err error) {
	if refusal, ok := errors.AsType[*signal.Refusal](err); ok {
		j.refusal, j.key = refusal, ""
		if j.stops() && !j.sender.IsZero() {
			j.key = j.event.Msg.CID // whether it is stopped, its call decides
		}
	} else if err != nil {
		j.fault, j.key = err, ""
	}
}

// reading is what is known of a message before its signature is.
type reading struct {
	job      *job
	done     bool // it is judged
	self     identity.ID
	sender   identity.Record
	typ      signal.Type
	typed    bool // whether the last token of the subject is a type
	limit    pass
	envelope identity.Envelope
}

// read reads a message as far as its envelope: who sends, may he send so much, is it a
// JWS. It returns a *[signal.Refusal], or another error if the message cannot be judged now.
func (v verifier) read(ctx context.Context, r *reading) (err error) {
	j := r.job
	if r.self, err = identity.ParseID(j.subjectSelf); err != nil {
		j.subjectSelf = nobody.String()
		return refused(signal.CodeUnknownIdentity, "the subject names no identity")
	}
	j.signer = identity.Router
	r.typ, r.typed = signal.ParseType(j.subjectType)
	if r.sender, err = v.look(ctx, r.self); err != nil {
		return err
	}
	r.limit = within
	if j.event.Delivery == 1 {
		r.limit = v.limiter.take(r.self, r.sender.Role, r.typ, j.event.At)
	}
	if r.limit == silent || r.limit == over {
		v.metrics.rateLimited.Inc()
	}
	if r.limit == silent {
		return errRateLimited
	}
	j.quiet = r.limit == quiet
	parse := identity.ParseEnvelope
	if v.opts.Unsigned {
		parse = identity.ParseUnverified
	}
	if r.envelope, err = parse(j.raw); err != nil {
		return envelopeRefusal(err)
	}
	return nil
}

// judge judges a message that was read: signature, claims, time, destination. Its
// errors are those of read.
func (v verifier) judge(ctx context.Context, r *reading, signature error) error {
	j := r.job
	if err := v.authenticate(ctx, r, signature); err != nil {
		return err
	}
	j.sender = r.self
	m, err := signal.Decode(r.envelope.Payload)
	if err == nil {
		v.answerTo(j, m)
	} else {
		v.address(j, r.envelope.Payload)
	}
	switch {
	case r.limit == over:
		return errRateLimited
	case !r.typed:
		return refused(signal.CodeUnknownType, "the last token of the subject is no message type")
	case err != nil:
		return err
	case m.Type != r.typ:
		return refused(signal.CodeTypeMismatch, "claim typ differs from the type in the subject")
	case m.Issuer != r.self:
		return refused(signal.CodeWrongIssuer, "claim iss differs from the identity in the subject")
	}
	if err := m.InTime(j.event.At, v.opts.MaxMessageAge); err != nil {
		return err
	}
	j.event.Msg = m
	return v.route(ctx, j, r.sender.Role)
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

// authenticate judges a signature by what was found with the keys of the sender's
// record, which is read anew if it lacks the key that the envelope names.
func (v verifier) authenticate(ctx context.Context, r *reading, signature error) error {
	if d, ok := v.opts.Directory.(rechecker); ok && errors.Is(signature, identity.ErrUnknownKey) {
		var err error
		if r.sender, err = d.Recheck(ctx, r.self); err != nil {
			return err
		}
		if r.sender.Revoked {
			return refused(signal.CodeRevoked, "the identity is revoked")
		}
		signature = r.envelope.Verify(r.sender.Keys)
	}
	switch {
	case errors.Is(signature, identity.ErrUnknownKey):
		return refused(signal.CodeUnknownKey, "the sender has no key with the kid of the header")
	case signature != nil:
		return refused(signal.CodeBadSignature, "the signature does not verify")
	default:
		return nil
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
