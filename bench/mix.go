package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// hop is one message of a call as its sender publishes it.
type hop struct {
	subject string
	data    []byte
	header  nats.Header
}

// traffic makes calls and recognises their deliveries. The hops of a call follow
// one another: each is sent when the one before it has been delivered.
type traffic interface {
	// prepare stores what n further calls need and returns their numbers.
	prepare(ctx context.Context, s *stage, n int) ([]int, error)
	// hops returns the messages of a call.
	hops(call int) []hop
	// recognise says which hop of which call a live message is the delivery of.
	recognise(m *nats.Msg) (call, hop int, ok bool)
	// live is the subject that deliveries arrive on, and length the number of hops.
	live() string
	length() int
}

// offer is as long as what a browser offers for one audio track, about 1.6 KB; a
// trickled candidate has some 160 bytes.
var (
	offer     = strings.Repeat("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n", 24)
	candidate = "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag EsAw network-cost 999"
)

// line is one message of a call: who says what.
type line struct {
	typ    signal.Type
	caller bool
	info   string
}

// whole is the mix of a call with trickled candidates; short is what a SIP call
// has besides: INVITE, 180, 200, BYE.
var (
	whole = []line{
		{signal.Start, true, offer}, {signal.Ringing, false, ""}, {signal.Accept, false, offer},
		{signal.Candidate, true, candidate}, {signal.Candidate, false, candidate},
		{signal.Candidate, true, candidate}, {signal.Candidate, false, candidate},
		{signal.Stop, true, ""},
	}
	short = []line{{signal.Start, true, offer}, {signal.Ringing, false, ""}, {signal.Accept, false, offer}, {signal.Stop, true, ""}}
)

const (
	proxyName = "helpdesk"
	pairs     = 500
)

// mix is masked calls between pairs of identities.
type mix struct {
	script []line
	signed bool
	keys   map[string]identity.PrivateKey
	proxy  identity.PrivateKey
	next   int
}

func newMix(script []line, signed bool) (*mix, error) {
	m := &mix{script: script, signed: signed, keys: make(map[string]identity.PrivateKey)}
	var err error
	if m.proxy, err = identity.GenerateKey("1"); err != nil {
		return nil, err
	}
	for i := range pairs {
		for _, name := range []string{operator(i), customer(i)} {
			if m.keys[name], err = identity.GenerateKey("1"); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

func operator(n int) string     { return fmt.Sprint("op", n%pairs) }
func customer(n int) string     { return fmt.Sprint("cu", n%pairs) }
func conversation(n int) string { return fmt.Sprint("conv-", n) }

// enroll stores the identities.
func (m *mix) enroll(s *stage) error {
	put := func(name string, role identity.Role, key identity.PrivateKey) error {
		value, err := identity.Record{Role: role, Keys: []identity.PublicKey{key.Public()}}.Encode()
		if err == nil {
			_, err = s.js.PublishAsync(subjects.KVKey(subjects.BucketIdentities, name), value)
		}
		return err
	}
	if err := put(proxyName, identity.RoleApp, m.proxy); err != nil {
		return err
	}
	for name, key := range m.keys {
		if err := put(name, identity.RoleUser, key); err != nil {
			return err
		}
	}
	return s.stored()
}

// stored waits until everything that was published has been acknowledged.
func (s *stage) stored() error {
	select {
	case <-s.js.PublishAsyncComplete():
		return nil
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("%d messages not stored", s.js.PublishAsyncPending())
	}
}

func (m *mix) prepare(_ context.Context, s *stage, n int) ([]int, error) {
	numbers := make([]int, n)
	for i := range numbers {
		c := m.next
		m.next++
		numbers[i] = c
		route, err := call.Route{
			Proxy: identity.MustID(proxyName), Operator: identity.MustID(operator(c)), Customer: identity.MustID(customer(c)),
			OperatorName: "Support", Start: call.StartBoth,
		}.Encode()
		if err == nil {
			_, err = s.js.PublishAsync(subjects.KVKey(subjects.BucketRoutes, conversation(c)), route)
		}
		if err != nil {
			return nil, err
		}
	}
	return numbers, s.stored()
}

func (m *mix) hops(c int) []hop {
	out := make([]hop, len(m.script))
	now := time.Now()
	for i, l := range m.script {
		from := operator(c)
		if !l.caller {
			from = customer(c)
		}
		msg := signal.Message{
			Type: l.typ, JTI: fmt.Sprintf("bench-%08d-%02d", c, i), Issuer: identity.MustID(from), Recipient: identity.MustID(proxyName),
			IssuedAt: now, ExpiresAt: now.Add(time.Hour), CID: conversation(c), CallID: fmt.Sprint("k", c), PeerInfo: l.info,
		}
		if l.info != "" {
			msg.PeerInfo = fmt.Sprintf("%02d %s", i, l.info) // tells the candidates of a side apart
		}
		payload, err := msg.Encode()
		if err != nil {
			panic(err) // the script is wrong
		}
		out[i] = hop{subject: subjects.Voice(from, string(l.typ)), data: m.seal(from, payload)}
	}
	return out
}

func (m *mix) seal(from string, payload []byte) []byte {
	if !m.signed {
		return identity.Unsigned(payload)
	}
	return m.keys[from].Sign(payload)
}

func (m *mix) live() string { return subjects.FilterLive }
func (m *mix) length() int  { return len(m.script) }

var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// recognise looks for call_id and peer_info in the payload without decoding it: it
// runs beside what it measures.
func (m *mix) recognise(msg *nats.Msg) (int, int, bool) {
	typ := msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:]
	encoded, ok := member(msg.Data, `"payload":"`)
	if !ok {
		return 0, 0, false
	}
	buf := scratch.Get().(*[]byte)
	defer scratch.Put(buf)
	payload, err := base64.RawURLEncoding.AppendDecode((*buf)[:0], encoded)
	*buf = payload
	if err != nil {
		return 0, 0, false
	}
	id, ok := member(payload, `"call_id":"k`)
	if !ok {
		return 0, 0, false
	}
	c, err := strconv.Atoi(string(id))
	if err != nil {
		return 0, 0, false
	}
	if info, ok := member(payload, `"peer_info":"`); ok && len(info) > 2 {
		if i, err := strconv.Atoi(string(info[:2])); err == nil && i < len(m.script) && string(m.script[i].typ) == typ {
			return c, i, true
		}
		return 0, 0, false
	}
	for i, l := range m.script {
		if string(l.typ) == typ {
			return c, i, true
		}
	}
	return 0, 0, false // an error, say
}

func member(text []byte, name string) ([]byte, bool) {
	_, rest, ok := bytes.Cut(text, []byte(name))
	if !ok {
		return nil, false
	}
	value, _, ok := bytes.Cut(rest, []byte{'"'})
	return value, ok
}
