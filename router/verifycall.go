package router

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// Bounds of one verification.
const (
	maxFindings = 100
	maxSearched = 20000 // messages of an inbox, those of other conversations included
)

// side is one end of a conversation.
type side struct {
	name string
	id   identity.ID
}

// verifyCall searches what each side of a conversation can read for the identity
// of the other.
func (r *Router) verifyCall(ctx context.Context, req VerifyRequest) (VerifyResponse, error) {
	if !subjects.ValidCID(req.CID) {
		return VerifyResponse{}, badRequest("cid %.80q: want 1 to %d characters of A-Z a-z 0-9 _ -", req.CID, subjects.MaxCID)
	}
	known, err := r.get(ctx, GetRequest{CID: req.CID})
	if err != nil {
		return VerifyResponse{}, err
	}
	response := VerifyResponse{CID: req.CID, Findings: []Finding{}}
	for _, pair := range pairs(known) {
		for _, v := range []search{{req.CID, pair[0], pair[1]}, {req.CID, pair[1], pair[0]}} {
			if err := r.search(ctx, v, &response); err != nil {
				return VerifyResponse{}, err
			}
		}
	}
	return response, nil
}

// pairs returns the sides of the record and, if they are others, of the route.
func pairs(known GetResponse) (list [][2]side) {
	if s := known.State; s != nil && !s.Customer.IsZero() && !s.Operator.IsZero() {
		list = append(list, [2]side{{"customer", s.Customer}, {"operator", s.Operator}})
	}
	if r := known.Route; r != nil {
		pair := [2]side{{"customer", r.Customer}, {"operator", r.Operator}}
		if len(list) == 0 || list[0] != pair {
			list = append(list, pair)
		}
	}
	return list
}

// search is the search of one inbox.
type search struct {
	cid           string
	reader, other side
}

func (r *Router) search(ctx context.Context, v search, response *VerifyResponse) error {
	seen := 0
	return scan(ctx, r.js, subjects.InboxAll(v.reader.id.String()), scanPage, jetstreamext.GetBatchSeq(1), func(m *jetstream.RawStreamMsg) bool {
		if seen++; seen > maxSearched {
			response.More = true
			return false
		}
		places, ours := v.places(m)
		if !ours {
			return true
		}
		response.Searched++
		for _, where := range places {
			if len(response.Findings) == maxFindings {
				response.More = true
				return false
			}
			response.Findings = append(response.Findings, Finding{Seq: m.Sequence, Reader: v.reader.name, Names: v.other.name, Where: where})
		}
		return true
	})
}

// places returns where a message names the other side; ours is false if it
// belongs to another conversation.
func (v search) places(m *jetstream.RawStreamMsg) (found []string, ours bool) {
	note := func(where, text string) {
		if names(text, v.other.id.String()) {
			found = append(found, where)
		}
	}
	note("subject", m.Subject)
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		note("header."+name, name+" "+strings.Join(m.Header[name], " "))
	}
	envelope, err := identity.ParseEnvelope(m.Data)
	if errors.Is(err, identity.ErrAlgorithm) {
		envelope, err = identity.ParseUnverified(m.Data) // written while signatures were off
	}
	if err != nil {
		note("payload", string(m.Data)) // nothing that a router writes; whose it is, nobody knows
		return found, len(found) > 0
	}
	note("protected", envelope.KID)
	var claims map[string]any
	if json.Unmarshal(envelope.Payload, &claims) != nil {
		note("payload", string(envelope.Payload))
		return found, len(found) > 0
	}
	walk("claims", claims, note)
	return found, claims["cid"] == v.cid
}

// walk calls note with every name and every value in a JSON value.
func walk(where string, value any, note func(where, text string)) {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			note(where+" (name)", name)
			walk(where+"."+name, v[name], note)
		}
	case []any:
		for _, element := range v {
			walk(where, element, note)
		}
	default:
		note(where, fmt.Sprint(v))
	}
}

// shortID is the length up to which an identity counts only where it stands
// alone: a name of a few characters is part of many words.
const shortID = 5

// names reports whether a text names an identity.
func names(text, id string) bool {
	if len(id) > shortID {
		return strings.Contains(text, id)
	}
	for rest := text; ; {
		i := strings.Index(rest, id)
		if i < 0 {
			return false
		}
		before := i == 0 || !subjects.ValidSelfID(rest[i-1:i])
		end := i + len(id)
		if before && (end == len(rest) || !subjects.ValidSelfID(rest[end:end+1])) {
			return true
		}
		rest = rest[i+1:]
	}
}
