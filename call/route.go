package call

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
)

// StartSide says who may start calls on a route.
type StartSide string

// The values of a route's member start.
const (
	StartOperator StartSide = "operator" // the default
	StartBoth     StartSide = "both"
)

// Route is the routing metadata of a conversation: the value of its key in the
// bucket voice_routes.
type Route struct {
	Proxy        identity.ID `json:"proxy"`
	Customer     identity.ID `json:"customer"`
	Operator     identity.ID `json:"operator"`
	OperatorName string      `json:"operator_name,omitzero"`
	CustomerName string      `json:"customer_name,omitzero"`
	Start        StartSide   `json:"start,omitzero"`
	// DataAllow names keys of data, besides "media", that pass the mask.
	DataAllow []string `json:"data_allow,omitempty"`
	// MaskCallID says that the side that did not originate a call sees another
	// call_id than the one that did.
	MaskCallID bool `json:"mask_call_id,omitzero"`
	// ExpiresAt is when the route stops allowing new calls; zero means never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Limits of a route record.
const (
	MaxName      = 256 // bytes of operator_name and of customer_name
	MaxDataAllow = 32  // keys in data_allow
	MaxDataKey   = 64  // bytes of each
)

// ErrRoute is returned for a route record that breaks its schema.
var ErrRoute = errors.New("route record is broken")

// DecodeRoute parses and checks a route record. Unknown members are tolerated, so
// that newer writers do not lock out older readers. Its errors wrap [ErrRoute];
// the route returned beside one names whatever identities could be read, and
// nothing else.
func DecodeRoute(data []byte) (Route, error) {
	var r Route
	if err := json.Unmarshal(data, &r); err != nil {
		return sides(data), fmt.Errorf("%w: %s", ErrRoute, jsonFault(err))
	}
	r.ExpiresAt = moment(r.ExpiresAt)
	if len(r.DataAllow) == 0 {
		r.DataAllow = nil
	}
	if err := r.check(); err != nil {
		return Route{Proxy: r.Proxy, Customer: r.Customer, Operator: r.Operator}, err
	}
	return r, nil
}

// sides reads what identities it can from a record with members of wrong types.
func sides(data []byte) (r Route) {
	var members map[string]jsontext.Value
	if json.Unmarshal(data, &members) != nil {
		return Route{}
	}
	read := func(name string) (id identity.ID) {
		if json.Unmarshal(members[name], &id) != nil {
			return identity.ID{}
		}
		return id
	}
	return Route{Proxy: read("proxy"), Customer: read("customer"), Operator: read("operator")}
}

// Encode returns the JSON of a valid route; its error wraps [ErrRoute].
func (r Route) Encode() ([]byte, error) {
	r.ExpiresAt = moment(r.ExpiresAt)
	if err := r.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrRoute, jsonFault(err))
	}
	return b, nil
}

// check reports the first member at fault.
func (r *Route) check() error {
	broken := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrRoute}, args...)...)
	}
	switch {
	case r.Proxy.IsZero():
		return broken("proxy is missing")
	case r.Customer.IsZero():
		return broken("customer is missing")
	case r.Operator.IsZero():
		return broken("operator is missing")
	case r.Customer == r.Operator:
		return broken("customer and operator are the same identity")
	case r.Proxy == r.Customer, r.Proxy == r.Operator:
		return broken("proxy is also customer or operator")
	case r.Start != "" && r.Start != StartOperator && r.Start != StartBoth:
		return broken("start is %.16q, want operator or both", r.Start)
	case len(r.OperatorName) > MaxName:
		return broken("operator_name has %d bytes, want at most %d", len(r.OperatorName), MaxName)
	case len(r.CustomerName) > MaxName:
		return broken("customer_name has %d bytes, want at most %d", len(r.CustomerName), MaxName)
	case !validDataAllow(r.DataAllow):
		return broken("data_allow: want at most %d keys of 1 to %d bytes", MaxDataAllow, MaxDataKey)
	case !validTime(r.ExpiresAt):
		return broken("expires_at is in year %d, want 1970 to 9999", r.ExpiresAt.Year())
	}
	return nil
}

func validDataAllow(keys []string) bool {
	bad := func(key string) bool { return key == "" || len(key) > MaxDataKey }
	return len(keys) <= MaxDataAllow && !slices.ContainsFunc(keys, bad)
}

// validTime reports whether t is zero or a time that somebody's clock may show.
func validTime(t time.Time) bool {
	return t.IsZero() || t.Year() >= 1970 && t.Year() <= 9999
}

// expired reports whether the route allows no new calls at time at.
func (r *Route) expired(at time.Time) bool {
	return !r.ExpiresAt.IsZero() && !at.Before(r.ExpiresAt)
}

// allows reports whether a side may start calls.
func (s StartSide) allows(operator bool) bool { return operator || s == StartBoth }

// jsonFault says what is wrong with a JSON text without quoting it: records hold
// names of persons.
func jsonFault(err error) string {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) && semantic.JSONPointer != "" {
		return fmt.Sprintf("wrong value at %.80s", semantic.JSONPointer)
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("JSON error at byte %d", syntactic.ByteOffset)
	}
	return "want one JSON object"
}
