package signal

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// claims is a message on the wire. Members that nobody knows are tolerated:
// upstream clients send some. Duplicate members and invalid UTF-8 are not.
type claims struct {
	Typ      string         `json:"typ"`
	JTI      string         `json:"jti"`
	Iss      string         `json:"iss"`
	Sub      string         `json:"sub"`
	Aud      string         `json:"aud,omitzero"`
	Iat      stamp          `json:"iat"`
	Exp      stamp          `json:"exp"`
	CID      string         `json:"cid,omitzero"`
	CallID   string         `json:"call_id,omitzero"`
	PeerInfo string         `json:"peer_info,omitzero"`
	Data     jsontext.Value `json:"data,omitzero"`
	Party    string         `json:"party,omitzero"`
	Reason   string         `json:"reason,omitzero"`
}

// Decode parses and checks the payload of a JWS. Its errors are of type
// *[Refusal]. Decode does not judge time or issuer: see [Message.InTime].
func Decode(payload []byte) (Message, error) {
	c, ok := plainClaims(payload)
	if !ok {
		c = claims{}
		if err := json.Unmarshal(payload, &c); err != nil {
			return Message{}, refuse(CodeBadClaims, "%s", fault(err))
		}
	}
	return c.message()
}

// message checks the claims.
func (c *claims) message() (Message, error) {
	typ, known := strings.CutPrefix(c.Typ, claimPrefix)
	m := Message{
		JTI: c.JTI, IssuedAt: c.Iat.Time, ExpiresAt: c.Exp.Time,
		CID: c.CID, CallID: c.CallID, PeerInfo: c.PeerInfo, Party: c.Party, Reason: Reason(c.Reason),
	}
	if m.Type, _ = ParseType(typ); !known || m.Type == "" {
		return Message{}, refuse(CodeBadClaims, "claim typ: want chat.voice. and a type")
	}
	var err error
	if m.Issuer, err = identity.ParseID(c.Iss); err != nil {
		return Message{}, refuse(CodeBadClaims, "claim iss is not an identity")
	}
	if m.Recipient, err = identity.ParseID(c.Sub); err != nil {
		return Message{}, refuse(CodeBadClaims, "claim sub is not an identity")
	}
	if c.Aud != "" && c.Aud != c.Sub {
		return Message{}, refuse(CodeBadAudience, "claim aud differs from claim sub")
	}
	if c.Data.Kind() == '{' {
		m.Data = c.Data
	} else if c.Data != nil && c.Data.Kind() != 'n' {
		return Message{}, refuse(CodeBadClaims, "claim data is not an object")
	}
	if err := m.check(); err != nil {
		return Message{}, err
	}
	return m, nil
}

// Encode returns the claims as JSON, times in RFC 3339 UTC. Its error is a
// *[Refusal] that names the first claim at fault.
func (m Message) Encode() ([]byte, error) {
	return m.AppendEncode(make([]byte, 0, len(m.PeerInfo)+len(m.PeerInfo)/8+len(m.Data)+encodedRoom))
}

// AppendEncode is Encode, appended to b, which may have been used before.
func (m Message) AppendEncode(b []byte) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	c := claims{
		Typ: m.Type.Claim(), JTI: m.JTI, Iss: m.Issuer.String(), Sub: m.Recipient.String(), Aud: m.Recipient.String(),
		Iat: stamp{m.IssuedAt}, Exp: stamp{m.ExpiresAt},
		CID: m.CID, CallID: m.CallID, PeerInfo: m.PeerInfo, Data: m.Data, Party: m.Party, Reason: string(m.Reason),
	}
	b, err := c.appendJSON(b)
	if err != nil {
		return nil, refuse(CodeBadClaims, "%s", fault(err))
	}
	return b, nil
}

// encodedRoom is what the claims take besides peer_info and data.
const encodedRoom = 640

// check reports the first claim that breaks the protocol.
func (m Message) check() error {
	if _, known := ParseType(string(m.Type)); !known {
		return refuse(CodeBadClaims, "claim typ: want chat.voice. and a type")
	}
	switch {
	case m.Issuer.IsZero(), m.Recipient.IsZero():
		return refuse(CodeBadClaims, "claims iss and sub are required")
	case len(m.JTI) > MaxJTI:
		return refuse(CodeOversized, "claim jti is longer than %d bytes", MaxJTI)
	case !visible(m.JTI):
		return refuse(CodeBadClaims, "claim jti: want 1 to %d bytes of visible ASCII", MaxJTI)
	case m.IssuedAt.IsZero(), m.ExpiresAt.IsZero():
		return refuse(CodeBadClaims, "claims iat and exp are required")
	case !plausible(m.IssuedAt), !plausible(m.ExpiresAt):
		return refuse(CodeBadClaims, "claims iat and exp: want years from %d to %d", firstYear, lastYear)
	case !subjects.ValidCID(m.CID) && (m.CID != "" || m.Type != Error):
		return refuse(CodeBadClaims, "claim cid: want 1 to %d characters of A-Z a-z 0-9 _ -", subjects.MaxCID)
	case m.CallID == "" && m.Type != Setup && m.Type != Error:
		return refuse(CodeBadClaims, "claim call_id is required in %s", m.Type)
	case m.CallID != "" && !subjects.ValidCallID(m.CallID):
		return refuse(CodeBadClaims, "claim call_id: want 1 to %d characters of A-Z a-z 0-9 _ . ~ -", subjects.MaxCallID)
	case m.Party != "" && !subjects.ValidParty(m.Party):
		return refuse(CodeBadClaims, "claim party: want 1 to %d characters of A-Z a-z 0-9 _ . ~ -", subjects.MaxParty)
	case len(m.PeerInfo) > MaxPeerInfo:
		return refuse(CodeOversized, "claim peer_info is longer than %d bytes", MaxPeerInfo)
	case len(m.Data) > MaxData:
		return refuse(CodeOversized, "claim data is longer than %d bytes", MaxData)
	case len(m.Reason) > MaxReason:
		return refuse(CodeOversized, "claim reason is longer than %d bytes", MaxReason)
	case m.Data != nil && m.Data.Kind() != '{':
		return refuse(CodeBadClaims, "claim data is not an object")
	case depth(m.Data) > MaxDataDepth:
		return refuse(CodeOversized, "claim data is nested deeper than %d", MaxDataDepth)
	}
	return nil
}

// depth returns how deep v is nested. v has been through the JSON parser.
func depth(v jsontext.Value) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}', c == ']':
			now--
		}
	}
	return deepest
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// fault says what is wrong with a JSON text without quoting it.
func fault(err error) string {
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok && semantic.JSONPointer != "" {
		return fmt.Sprintf("claims: wrong JSON type at %.80s", semantic.JSONPointer)
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("claims: JSON error at byte %d", syntactic.ByteOffset)
	}
	return "claims: want one JSON object"
}

// stamp is a point in time as clients write it: RFC 3339 with any offset, or an
// integer count of seconds since the Unix epoch (RFC 7519 section 2, without
// fractions). We write RFC 3339 UTC.
type stamp struct{ time.Time }

// Years outside of this range are nobody's clock and overflow arithmetic.
const firstYear, lastYear = 1970, 9999

func (s *stamp) UnmarshalJSON(data []byte) error {
	var t time.Time
	switch v := jsontext.Value(data); v.Kind() {
	case '0':
		var seconds int64
		if err := json.Unmarshal(v, &seconds); err != nil {
			return err
		}
		t = time.Unix(seconds, 0).UTC()
	default:
		if err := json.Unmarshal(v, &t); err != nil {
			return err
		}
	}
	if !plausible(t) {
		return errors.New("year out of range")
	}
	s.Time = t.UTC().Truncate(time.Millisecond)
	return nil
}

func plausible(t time.Time) bool {
	y := t.UTC().Year()
	return y >= firstYear && y <= lastYear
}

// MarshalJSON always writes milliseconds, also .000: the size of a message tells
// nothing of when it was made.
func (s stamp) MarshalJSON() ([]byte, error) { return s.append(nil), nil }

func (s stamp) append(out []byte) []byte {
	return s.UTC().AppendFormat(out, `"2006-01-02T15:04:05.000Z"`)
}
