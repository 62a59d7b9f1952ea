package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/time/rate"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// syncer answers identities that ask what they missed.
type syncer struct {
	r *Router

	askers *simplelru.LRU[string, *rate.Limiter]

	mu     sync.Mutex // guards all of these
	last   uint64
	lastAt time.Time
}

func newSyncer(r *Router) *syncer {
	askers, err := simplelru.NewLRU[string, *rate.Limiter](limitedIdentities, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &syncer{r: r, askers: askers}
}

// An identity may ask this often, of one worker: enough to page through the
// longest inbox at once, too little to keep the others waiting.
const (
	syncsPerSecond = 10
	syncBurst      = 40
)

// allow reports whether self may ask now.
func (s *syncer) allow(self string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, ok := s.askers.Get(self)
	if !ok {
		limit = rate.NewLimiter(syncsPerSecond, syncBurst)
		s.askers.Add(self, limit)
	}
	return limit.AllowN(s.r.opts.Now(), 1)
}

const (
	// coldStart is how far back an answer to a first request begins.
	coldStart = 5 * time.Minute
	// syncBytes bounds the payloads in an answer, below the server's default
	// limit of 1 MiB for a message.
	syncBytes = 640 << 10
	// lastFor is how long the last sequence of the stream is remembered. An old
	// one is no lie: everything up to it is known to be committed.
	lastFor = 500 * time.Millisecond
)

// handle answers one request. The reply subject of a request from another
// account is made by the server; any other that is no inbox could name a subject
// of a stream and is not answered.
func (s *syncer) handle(ctx context.Context, req micro.Request) {
	self, ok := subjects.ParseSync(req.Subject())
	if !ok || !subjects.SafeReply(req.Reply()) {
		s.r.metrics.syncs.WithLabelValues("ignored").Inc()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var response signal.SyncResponse
	err := errSyncLimited
	if s.allow(self) {
		response, err = s.answer(ctx, self, req.Data())
	}
	switch {
	case errors.Is(err, errSyncLimited):
		s.r.metrics.syncs.WithLabelValues("limited").Inc()
		response = signal.SyncResponse{Error: &signal.SyncError{Code: signal.CodeRateLimited, Detail: err.Error()}}
	case err != nil && ctx.Err() == nil && errors.Is(err, errBadSync):
		s.r.metrics.syncs.WithLabelValues("refused").Inc()
		response = signal.SyncResponse{Error: &signal.SyncError{Code: signal.CodeBadClaims, Detail: err.Error()}}
	case err != nil:
		s.r.metrics.syncs.WithLabelValues("failed").Inc()
		s.r.log.limited("sync request not answered", "error", err)
		response = signal.SyncResponse{Error: &signal.SyncError{Code: signal.CodeInternal, Detail: "the inbox cannot be read now: ask again"}}
	default:
		s.r.metrics.syncs.WithLabelValues("ok").Inc()
	}
	body, err := json.Marshal(response)
	if err == nil {
		err = req.Respond(body)
	}
	if err != nil {
		s.r.log.limited("sync answer not sent", "error", err)
	}
}

var errSyncLimited = errors.New("too many requests: ask again in a second")

var errBadSync = errors.New(`want {"since":N} with N a sequence, 0 for a cold start`)

func (s *syncer) answer(ctx context.Context, self string, body []byte) (signal.SyncResponse, error) {
	var req signal.SyncRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return signal.SyncResponse{}, errBadSync
	}
	if req.Max <= 0 || req.Max > signal.MaxSync {
		req.Max = signal.MaxSync
	}
	upto, err := s.lastSequence(ctx, req.Since)
	if err != nil {
		return signal.SyncResponse{}, err
	}
	if upto < req.Since {
		// The stream that the sequence is of is gone. The client sees it go back
		// and starts afresh.
		return signal.SyncResponse{Messages: []signal.SyncMessage{}, Upto: upto}, nil
	}
	page := page{limit: req.Max, cursor: req.Since, messages: []signal.SyncMessage{}}
	full, err := s.nearest(ctx, &page, self, req)
	if err == nil && !full {
		full, err = s.rest(ctx, &page, self)
	}
	if err != nil {
		return signal.SyncResponse{}, err
	}
	response := signal.SyncResponse{Messages: page.messages, More: full, Upto: page.cursor}
	if !full {
		response.Upto = max(upto, page.cursor)
	}
	response.Ended, err = s.ended(ctx, self, page.messages)
	return response, err
}

// ended names the calls among messages that are over. A message does not say
// whether it crossed a mask, so that both records it may belong to are read.
func (s *syncer) ended(ctx context.Context, self string, messages []signal.SyncMessage) ([]signal.SyncCall, error) {
	type mention struct {
		signal.SyncCall
		from identity.ID
	}
	calls := make(map[string][]mention) // by key
	for _, m := range messages {
		envelope, err := identity.ParseUnverified(m.Payload)
		if err != nil {
			continue
		}
		claims, err := signal.Decode(envelope.Payload)
		if err != nil || claims.CallID == "" || claims.Issuer == identity.Router {
			continue
		}
		c := mention{signal.SyncCall{CID: claims.CID, CallID: claims.CallID}, claims.Issuer}
		for _, key := range []string{claims.CID, subjects.DirectKey(claims.CID, claims.Issuer.String(), self)} {
			if !slices.Contains(calls[key], c) {
				calls[key] = append(calls[key], c)
			}
		}
	}
	names := make([]string, 0, len(calls))
	for key := range calls {
		names = append(names, subjects.State(key))
	}
	var over []signal.SyncCall
	for chunk := range slices.Chunk(names, maxMultiGet) {
		err := lastMessages(ctx, s.r.js, subjects.StreamOut, chunk, func(m *jetstream.RawStreamMsg) {
			key, _, _ := subjects.ParseCall(m.Subject)
			state, err := call.DecodeState(m.Data)
			if err != nil {
				return
			}
			for _, c := range calls[key] {
				if state.Over(c.CallID) && (state.Proxy.IsZero() || state.Proxy == c.from) {
					over = append(over, c.SyncCall)
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return over, nil
}

// page collects the messages of an answer.
type page struct {
	limit    int
	bytes    int
	cursor   uint64 // sequence of the last message
	messages []signal.SyncMessage
}

// add appends a message; it reports false, and does not, if the page is full.
func (p *page) add(subject string, seq uint64, at time.Time, data []byte) bool {
	if len(p.messages) >= p.limit || len(p.messages) > 0 && p.bytes+len(data) > syncBytes {
		return false
	}
	p.cursor = seq
	if _, typ, ok := subjects.ParseInbox(subject); ok && jsontext.Value(data).IsValid() {
		p.bytes += len(data)
		p.messages = append(p.messages, signal.SyncMessage{Seq: seq, Type: typ, Time: at.UTC(), Payload: data})
	}
	return true
}

// nearest reads from whichever replica answers. What it returns has no holes but
// may lack the end.
func (s *syncer) nearest(ctx context.Context, p *page, self string, req signal.SyncRequest) (full bool, err error) {
	from := jetstreamext.GetBatchSeq(req.Since + 1)
	if req.Since == 0 {
		from = jetstreamext.GetBatchStartTime(s.r.opts.Now().Add(-coldStart))
	}
	messages, err := jetstreamext.GetBatch(ctx, s.r.js, subjects.StreamOut, req.Max+1,
		jetstreamext.GetBatchSubject(subjects.InboxAll(self)), from)
	if err != nil {
		return false, fmt.Errorf("read inbox: %w", err)
	}
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read inbox: %w", err)
		}
		if !p.add(m.Subject, m.Sequence, m.Time, m.Data) {
			return true, nil
		}
	}
	return false, nil
}

// rest reads what the replica did not have yet from the leader.
func (s *syncer) rest(ctx context.Context, p *page, self string) (full bool, err error) {
	for {
		var m msgget.Message
		if p.cursor == 0 {
			m, err = msgget.Since(ctx, s.r.opts.Conn, subjects.StreamOut, subjects.InboxAll(self), s.r.opts.Now().Add(-coldStart))
		} else {
			m, err = msgget.Next(ctx, s.r.opts.Conn, subjects.StreamOut, subjects.InboxAll(self), p.cursor+1)
		}
		if errors.Is(err, msgget.ErrNone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !p.add(m.Subject, m.Seq, m.Time, m.Data) {
			return true, nil
		}
	}
}

// lastSequence returns a sequence up to which the stream is committed, as its
// leader knew it not long ago; one below atLeast is asked for again.
func (s *syncer) lastSequence(ctx context.Context, atLeast uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.lastAt) < lastFor && s.last >= atLeast {
		return s.last, nil
	}
	asked := time.Now()
	stream, err := s.r.js.Stream(ctx, subjects.StreamOut)
	if err != nil {
		return 0, fmt.Errorf("state of stream %s: %w", subjects.StreamOut, err)
	}
	s.last, s.lastAt = stream.CachedInfo().State.LastSeq, asked
	return s.last, nil
}
