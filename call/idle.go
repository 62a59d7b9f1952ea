package call

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"github.com/voicerouter/voicerouter/signal"
)

// idle is the state none, and ended for a start with a new call_id. The route has
// been read.
func (t *turn) idle() Decision {
	switch {
	case t.m.Type != signal.Start:
		return t.refuse(signal.CodeWrongRole)
	case t.broken || t.route == nil:
		// start, route broken: error route_invalid.
		return t.refuse(signal.CodeRouteInvalid)
	case !t.route.Start.allows(t.m.Issuer == t.route.Operator):
		// start, side not allowed: error forbidden.
		return t.refuse(signal.CodeForbidden)
	case t.route.expired(t.e.At):
		// start, route expired: error route_expired.
		return t.refuse(signal.CodeRouteExpired)
	default:
		// start, allowed side, new call_id: ringing; deliver to B; arm ring timer.
		d := t.applied(t.deliver())
		r := t.route
		d.Next.Proxy, d.Next.Customer, d.Next.Operator = r.Proxy, r.Customer, r.Operator
		d.Next.OperatorName, d.Next.Start, d.Next.DataAllow = r.OperatorName, r.Start, slices.Clone(r.DataAllow)
		d.Next.MaskCallID = r.MaskCallID
		t.ring(&d)
		return d
	}
}

// ring makes the message, a start, the current call of d.Next and arms its timer.
func (t *turn) ring(d *Decision) {
	n := d.Next
	n.Phase, n.CallID = Ringing, t.m.CallID
	n.Caller, n.CallerParty, n.Offer = t.m.Issuer, t.m.Party, offerOf(t.m.PeerInfo)
	n.Parties, n.Winner = nil, ""
	n.Reason, n.EndedBy = "", nobody
	n.StartedAt, n.RingingAt, n.AnsweredAt, n.EndedAt = t.e.At, never, never, never
	t.arm(d, t.policy.RingTimeout)
}

// offerBytes is how much of the SHA-256 of an offer is kept.
const offerBytes = 12

// offerOf returns the hash by which a repeated start is recognised.
func offerOf(peerInfo string) string {
	sum := sha256.Sum256([]byte(peerInfo))
	return base64.RawURLEncoding.EncodeToString(sum[:offerBytes])
}
