package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/subjects"
)

// Bounds of the answers of the services.
const (
	maxListed  = 1000
	maxHistory = 500
)

func (r *Router) get(ctx context.Context, req GetRequest) (GetResponse, error) {
	state, err := r.state(ctx, req.CID)
	if err != nil {
		return GetResponse{}, err
	}
	response := GetResponse{CID: req.CID, State: state}
	if subjects.ValidCID(req.CID) {
		m, err := msgget.Last(ctx, r.opts.Conn, subjects.KV(subjects.BucketRoutes), subjects.KVKey(subjects.BucketRoutes, req.CID))
		switch {
		case err != nil && !errors.Is(err, msgget.ErrNone):
			return GetResponse{}, err
		case err == nil && !msgget.IsMarker(m.Header):
			route, err := call.DecodeRoute(m.Data)
			if err != nil {
				return GetResponse{}, &serviceError{ServiceFailed, fmt.Sprintf("route of %q: %v", req.CID, err)}
			}
			response.Route = &route
		}
	}
	if response.State == nil && response.Route == nil {
		return GetResponse{}, notFound(req.CID)
	}
	if req.History {
		response.History, err = r.history(ctx, req.CID)
	}
	return response, err
}

// history reads every version of a record.
func (r *Router) history(ctx context.Context, key string) ([]HistoryRecord, error) {
	var out []HistoryRecord
	var bad error
	err := scan(ctx, r.js, subjects.State(key), scanPage, jetstreamext.GetBatchSeq(1), func(m *jetstream.RawStreamMsg) bool {
		state, err := call.DecodeState(m.Data)
		if err != nil {
			bad = fmt.Errorf("record at sequence %d: %w", m.Sequence, err)
			return false
		}
		// What guards against repeats is no part of the story.
		state.Applied, state.Past = nil, nil
		out = append(out, HistoryRecord{Seq: m.Sequence, Time: m.Time.UTC(), State: state})
		return len(out) < maxHistory
	})
	return out, errors.Join(err, bad)
}

// list returns the live calls, found by their timers, or every conversation
// whose record changed lately.
func (r *Router) list(ctx context.Context, req ListRequest) (ListResponse, error) {
	limit := req.Limit
	if limit <= 0 || limit > maxListed {
		limit = maxListed
	}
	filter, from := subjects.FilterTimer, jetstreamext.GetBatchSeq(1)
	if req.All {
		since := time.Duration(req.Since) * time.Second
		if since <= 0 {
			since = time.Hour
		}
		filter, from = subjects.FilterState, jetstreamext.GetBatchStartTime(r.opts.Now().Add(-since))
	}
	response := ListResponse{Calls: []ListedCall{}}
	var names []string
	seen := make(map[string]bool)
	err := scan(ctx, r.js, filter, scanPage, from, func(m *jetstream.RawStreamMsg) bool {
		key, _, ok := subjects.ParseCall(m.Subject)
		if !ok || seen[key] || !subjects.ValidCID(key) {
			return true
		}
		if len(names) == limit && req.Identity.IsZero() {
			response.More = true
			return false
		}
		seen[key] = true
		names = append(names, subjects.State(key))
		return true
	})
	if err != nil {
		return ListResponse{}, err
	}
	full := false
	for chunk := range slices.Chunk(names, maxMultiGet) {
		err := lastMessages(ctx, r.js, subjects.StreamOut, chunk, func(m *jetstream.RawStreamMsg) {
			s, err := call.DecodeState(m.Data)
			if err != nil || !req.wants(s) {
				return
			}
			if full = len(response.Calls) == limit; full {
				return
			}
			response.Calls = append(response.Calls, ListedCall{
				CID: s.CID, CallID: s.CallID, Phase: s.Phase, Reason: s.Reason, StartedAt: s.StartedAt, EndedAt: s.EndedAt,
			})
		})
		if err != nil {
			return ListResponse{}, err
		}
		if full {
			response.More = true
			break
		}
	}
	return response, nil
}

// wants reports whether a record belongs into the list.
func (req ListRequest) wants(s call.State) bool {
	if !req.All && !s.Live() {
		return false
	}
	id := req.Identity
	return id.IsZero() || id == s.Customer || id == s.Operator || id == s.Proxy
}

// scanPage is how many messages one step of a scan asks for, if they may be large.
const scanPage = 256

// scan calls found with every message of VOICE_OUT on subjects that match
// filter, in the order of the stream, until found returns false; page is how many
// one step asks for.
func scan(ctx context.Context, js jetstream.JetStream, filter string, page int, from jetstreamext.GetBatchOpt, found func(*jetstream.RawStreamMsg) bool) error {
	for {
		messages, err := jetstreamext.GetBatch(ctx, js, subjects.StreamOut, page, jetstreamext.GetBatchSubject(filter), from)
		if err != nil {
			return fmt.Errorf("read %s: %w", filter, err)
		}
		n := 0
		for m, err := range messages {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", filter, err)
			}
			if !found(m) {
				return nil
			}
			n++
			from = jetstreamext.GetBatchSeq(m.Sequence + 1)
		}
		if n == 0 {
			return nil
		}
	}
}
