package signal

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/internal/plainjson"
)

// plainClaims is the quick way to read claims: members of the protocol, each
// once, without white space. What it does not accept, the full parser judges.
func plainClaims(payload []byte) (c claims, ok bool) {
	r := plainjson.Object(payload)
	seen := 0
	for name := r.Next(); name != nil; name = r.Next() {
		bit := 0
		switch string(name) {
		case "typ":
			bit, c.Typ = 1<<0, r.String()
		case "jti":
			bit, c.JTI = 1<<1, r.String()
		case "iss":
			bit, c.Iss = 1<<2, r.String()
		case "sub":
			bit, c.Sub = 1<<3, r.String()
		case "aud":
			bit, c.Aud = 1<<4, r.String()
		case "iat":
			bit, c.Iat = 1<<5, plainStamp(&r)
		case "exp":
			bit, c.Exp = 1<<6, plainStamp(&r)
		case "cid":
			bit, c.CID = 1<<7, r.String()
		case "call_id":
			bit, c.CallID = 1<<8, r.String()
		case "peer_info":
			bit, c.PeerInfo = 1<<9, r.String()
		case "data":
			bit, c.Data = 1<<10, plainData(&r)
		case "party":
			bit, c.Party = 1<<11, r.String()
		case "reason":
			bit, c.Reason = 1<<12, r.String()
		}
		if bit == 0 || seen&bit != 0 {
			return c, false
		}
		seen |= bit
	}
	return c, r.OK()
}

// plainData reads an object, which is small if it is there at all.
func plainData(r *plainjson.Reader) jsontext.Value {
	v := jsontext.Value(r.Extent())
	if !v.IsValid() {
		r.GiveUp()
		return nil
	}
	return v.Clone()
}

// plainStamp reads seconds, or RFC 3339 in UTC with or without milliseconds.
func plainStamp(r *plainjson.Reader) (s stamp) {
	if r.Peek() != '"' {
		s.Time = time.Unix(r.Integer(), 0).UTC()
	} else if t, ok := parseUTC(r.Raw()); ok {
		s.Time = t
	} else {
		r.GiveUp()
	}
	if !plausible(s.Time) {
		r.GiveUp()
	}
	return s
}

// The forms that parseUTC reads; a zero stands for any digit.
const (
	wholeSeconds = "0000-00-00T00:00:00Z"
	milliseconds = "0000-00-00T00:00:00.000Z"
)

func parseUTC(text []byte) (t time.Time, ok bool) {
	form := wholeSeconds
	if len(text) == len(milliseconds) {
		form = milliseconds
	}
	if len(text) != len(form) {
		return t, false
	}
	for i, c := range text {
		if digit := c >= '0' && c <= '9'; form[i] == '0' && !digit || form[i] != '0' && c != form[i] {
			return t, false
		}
	}
	t, err := time.Parse(time.RFC3339, string(text))
	return t.UTC(), err == nil
}

// appendClaims writes c as the full encoder does. Its error is that a string is
// not UTF-8, or data no JSON.
func (c *claims) appendJSON(out []byte) ([]byte, error) {
	var err error
	text := func(name, value string) {
		if err == nil {
			out = append(out, name...)
			out, err = plainjson.AppendString(out, value)
		}
	}
	optional := func(name, value string) {
		if value != "" {
			text(name, value)
		}
	}
	text(`{"typ":`, c.Typ)
	text(`,"jti":`, c.JTI)
	text(`,"iss":`, c.Iss)
	text(`,"sub":`, c.Sub)
	optional(`,"aud":`, c.Aud)
	out = c.Iat.append(append(out, `,"iat":`...))
	out = c.Exp.append(append(out, `,"exp":`...))
	optional(`,"cid":`, c.CID)
	optional(`,"call_id":`, c.CallID)
	optional(`,"peer_info":`, c.PeerInfo)
	if err == nil && c.Data != nil {
		// As in the full encoder: white space goes, strings are written anew.
		data := c.Data.Clone()
		err = data.Format(jsontext.AllowDuplicateNames(false))
		out = append(append(out, `,"data":`...), data...)
	}
	optional(`,"party":`, c.Party)
	optional(`,"reason":`, c.Reason)
	return append(out, '}'), err
}
