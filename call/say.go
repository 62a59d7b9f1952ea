package call

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// The keys of data that have a meaning at the mask.
const (
	dataMedia        = "media"
	dataOperatorName = "operator_name"
	dataCustomerName = "customer_name"
)

// mask is what may be said across it: of data only media and the keys in allow,
// and the operator's name as the route gives it.
type mask struct {
	operator     identity.ID
	operatorName string
	allow        []string
}

// deliver passes the message on to the counterpart. Nothing that could name the
// sender goes along: party, reason and unlisted data stay behind.
func (t *turn) deliver() Say {
	say := Say{To: t.other, Type: t.m.Type, CallID: t.m.CallID}
	if t.m.Type.HasPeerInfo() {
		say.PeerInfo = t.m.PeerInfo
	}
	if t.m.Type.HasData() {
		say.Data = t.mask.filter(t.m)
	}
	return say
}

// outgrows reports whether the data of the message has no room for the operator's
// name. What is half as long always has: a name takes six bytes for one at most.
func (t *turn) outgrows() bool {
	return len(t.m.Data) > signal.MaxData/2 && len(t.mask.filter(t.m)) > signal.MaxData
}

// filter returns what of the data of m passes, nil if that is nothing. Names come
// from the route, never from the sender, even if the route allows their keys.
func (k mask) filter(m signal.Message) jsontext.Value {
	out := make(map[string]jsontext.Value)
	var in map[string]jsontext.Value
	if len(m.Data) > 0 && json.Unmarshal(m.Data, &in) == nil {
		for key, value := range in {
			if key == dataMedia || slices.Contains(k.allow, key) {
				out[key] = value
			}
		}
	}
	delete(out, dataOperatorName)
	delete(out, dataCustomerName)
	if m.Issuer == k.operator && k.operatorName != "" {
		out[dataOperatorName] = encode(k.operatorName)
	}
	if len(out) == 0 {
		return nil
	}
	return encode(out)
}

// stopData is the data of a stop that the router says.
type stopData struct {
	// Party is the device that the stop is not meant for.
	Party string `json:"party,omitzero"`
	// ReplacedBy is the call_id that survived glare.
	ReplacedBy string `json:"replaced_by,omitzero"`
}

// stop says stop on the call_id of the message.
func (t *turn) stop(to identity.ID, reason signal.Reason, data stopData) Say {
	return t.stopCall(to, t.m.CallID, reason, data)
}

func (t *turn) stopCall(to identity.ID, callID string, reason signal.Reason, data stopData) Say {
	say := Say{To: to, Type: signal.Stop, CallID: callID, Reason: reason}
	if data != (stopData{}) {
		say.Data = encode(data)
	}
	return say
}

// encode returns v as JSON with its keys in order. It is total: what cannot be
// written, which no decoded message contains, is left out.
func encode(v any) jsontext.Value {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil
	}
	return b
}
