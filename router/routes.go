package router

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// routeEntry is what the bucket of routes says about a conversation: no route,
// a route, or a record that cannot be used.
type routeEntry struct {
	route  *call.Route
	broken bool
}

// routes reads routing metadata, once per call, when it starts.
type routes struct {
	nc        *nats.Conn
	js        jetstream.JetStream
	directory identity.Directory
	log       logger
}

// load gives every group that needs one its route. A miss on a replica is read
// again from the leader: the route may have been created a moment ago.
func (r routes) load(ctx context.Context, groups []*group) error {
	var want []*group
	for _, g := range groups {
		if g.route == nil && g.needsRoute() {
			want = append(want, g)
		}
	}
	for len(want) > 0 {
		n := min(len(want), maxMultiGet)
		if err := r.multiGet(ctx, want[:n]); err != nil {
			return err
		}
		want = want[n:]
	}
	return nil
}

// needsRoute reports whether a job of the group may ask for the route: always if
// one starts a call, as an earlier job may end the one that is current; and for
// the first message of a direct conversation, which may be none.
func (g *group) needsRoute() bool {
	if g.key == "" {
		return false // an error may name no conversation
	}
	for _, j := range g.jobs {
		if j.refusal != nil || j.event.Kind != call.Message {
			continue
		}
		if j.mode == call.Direct {
			return g.base == nil
		}
		if j.event.Msg.Type == signal.Start || call.NeedsRoute(g.base, j.event) {
			return true
		}
	}
	return false
}

// cid is the conversation of the group: its key, unless it is direct.
func (g *group) cid() string {
	cid, _ := subjects.CIDOfKey(g.key)
	return cid
}

func (r routes) multiGet(ctx context.Context, groups []*group) error {
	names := make([]string, 0, len(groups))
	byCID := make(map[string][]*group, len(groups))
	for _, g := range groups {
		cid := g.cid()
		if byCID[cid] == nil {
			names = append(names, subjects.KVKey(subjects.BucketRoutes, cid))
		}
		byCID[cid] = append(byCID[cid], g)
	}
	stream := subjects.KV(subjects.BucketRoutes)
	err := lastMessages(ctx, r.js, stream, names, func(m *jetstream.RawStreamMsg) {
		cid, ok := subjects.ParseKVKey(subjects.BucketRoutes, m.Subject)
		if !ok || msgget.IsMarker(m.Header) {
			return
		}
		entry := r.decode(cid, m.Data)
		for _, g := range byCID[cid] {
			g.route = entry
		}
	})
	if err != nil {
		return err
	}
	errs := make([]error, len(groups))
	parallel(len(groups), 16, func(i int) {
		g := groups[i]
		if g.route == nil {
			g.route, errs[i] = r.leader(ctx, g.cid())
		}
		if _, direct := subjects.CIDOfKey(g.key); direct {
			r.disown(g)
		} else {
			r.check(ctx, g)
		}
	})
	return errors.Join(errs...)
}

// disown finds direct messages that are none: their conversation has a route
// through the proxy that they address, but this worker lacks its key. They are
// left to the workers that have it.
func (r routes) disown(g *group) {
	if g.route == nil || g.route.route == nil {
		return
	}
	proxy := g.route.route.Proxy
	for _, j := range g.jobs {
		if j.event.Msg.Recipient == proxy {
			g.fault = errNoProxyKey{proxy}
			return
		}
	}
}

// errNoProxyKey says that a call goes through a proxy whose key is not here.
type errNoProxyKey struct{ proxy identity.ID }

func (e errNoProxyKey) Error() string {
	return fmt.Sprintf("calls go through proxy %s, but this worker has no key of it: give every worker of the fleet the same proxy keys", e.proxy)
}

func (r routes) leader(ctx context.Context, cid string) (*routeEntry, error) {
	m, err := msgget.Last(ctx, r.nc, subjects.KV(subjects.BucketRoutes), subjects.KVKey(subjects.BucketRoutes, cid))
	switch {
	case errors.Is(err, msgget.ErrNone), err == nil && m.Gone():
		return &routeEntry{}, nil
	case err != nil:
		return nil, fmt.Errorf("route of a conversation: %w", err)
	}
	return r.decode(cid, m.Data), nil
}

func (r routes) decode(cid string, data []byte) *routeEntry {
	route, err := call.DecodeRoute(data)
	if err == nil {
		return &routeEntry{route: &route}
	}
	r.broken(cid, err)
	if route.Customer.IsZero() || route.Operator.IsZero() || route.Proxy.IsZero() {
		return &routeEntry{broken: true}
	}
	return &routeEntry{route: &route, broken: true}
}

// check marks a route broken whose customer or operator nobody knows: a call on
// it would ring nowhere.
func (r routes) check(ctx context.Context, g *group) {
	if g.route == nil || g.route.route == nil || g.route.broken {
		return
	}
	for _, id := range []identity.ID{g.route.route.Customer, g.route.route.Operator} {
		record, err := r.directory.Lookup(ctx, id)
		switch {
		case errors.Is(err, identity.ErrUnknown), errors.Is(err, identity.ErrRecord), err == nil && record.Revoked:
			r.broken(g.key, fmt.Errorf("identity %s is unknown, broken or revoked in bucket %s", id, subjects.BucketIdentities))
			g.route = &routeEntry{route: g.route.route, broken: true}
		case err != nil:
			g.fault = err
		}
	}
}

func (r routes) broken(cid string, err error) {
	r.log.limited("route cannot be used: calls on it are refused with route_invalid until it is mended",
		"bucket", subjects.BucketRoutes, "key", cid, "error", err)
}

// facts puts the route into an event, if it names the proxy that was addressed.
func (g *group) facts(e *call.Event) {
	if g.route == nil {
		return
	}
	e.RouteBroken = g.route.broken
	if route := g.route.route; route != nil && route.Proxy == e.Msg.Recipient {
		e.Route = route
	} else if route != nil {
		e.RouteBroken = false
	}
}
