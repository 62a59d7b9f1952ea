package integration

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// Who sends what is refused, and the other side of that route.
const (
	clumsy  = "2000000001"
	patient = "2000000002"
	revoked = "2000000003" // in the directory, revoked
	garbled = "2000000004" // whose record in the directory is no JSON
	unknown = "2000000005" // in no directory
)

// secret stands in what must not turn up in a log.
const secret = "SECRET-OF-TWO-PEOPLE"

// badWorld is a world with a router whose log and metrics are kept, and with
// somebody who gets things wrong.
type badWorld struct {
	*world
	log             *journal
	metrics         *prometheus.Registry
	op, cu          *endpoint // an honest pair
	clumsy, patient *endpoint
}

func newBadWorld(t *testing.T) *badWorld {
	t.Helper()
	w := newWorld(t, brokertest.Options{Users: []string{clumsy, patient, revoked, garbled}})
	b := &badWorld{world: w, log: new(journal), metrics: prometheus.NewRegistry()}
	b.identity(garbled, []byte(`{"role":`))
	record := w.Get(t, revoked).Record
	record.Revoked = true
	data, err := record.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.identity(revoked, data)
	w.fleet(func(o *router.Options) {
		o.Logger, o.Registerer = b.log.logger(), b.metrics
		o.Limits = router.Limits{Messages: -1, Starts: -1} // one identity makes all mistakes at once
	})
	b.op, b.cu = w.endpoint(operator), w.endpoint(customer)
	b.clumsy, b.patient = w.endpoint(clumsy), w.endpoint(patient)
	return b
}

// identity stores a value in the directory.
func (b *badWorld) identity(name string, value []byte) {
	b.t.Helper()
	kv, err := brokertest.JetStream(b.t, b.nc).KeyValue(b.t.Context(), subjects.BucketIdentities)
	if err == nil {
		_, err = kv.Put(b.t.Context(), name, value)
	}
	if err != nil {
		b.t.Fatalf("put identity %s: %v", name, err)
	}
}

// store puts bytes into the inbound stream on any subject, as nobody but an
// administrator can.
func (b *badWorld) store(subject string, data []byte) {
	b.t.Helper()
	if _, err := brokertest.JetStream(b.t, b.nc).Publish(b.t.Context(), subject, data); err != nil {
		b.t.Fatalf("publish %s: %v", subject, err)
	}
}

// rejected waits until these bytes are kept as refused with this code, and checks
// what is noted beside them.
func (b *badWorld) rejected(code signal.Code, self string, data []byte) {
	b.t.Helper()
	subject := subjects.Rejected(string(code), self)
	var kept msgget.Message
	eventually(b.t, "kept under "+subject, func() bool {
		m, err := msgget.Last(b.t.Context(), b.nc, subjects.StreamOut, subject)
		kept = m
		return err == nil && bytes.Equal(m.Data, data)
	})
	detail := kept.Header.Get(router.HeaderDetail)
	if detail == "" || strings.Contains(detail, secret) || strings.ContainsAny(detail, "\r\n") {
		b.t.Errorf("%s: detail %q, want one line without the content", subject, detail)
	}
	if ttl := kept.Header.Get("Nats-TTL"); ttl != "1h" {
		b.t.Errorf("%s: TTL %q, want 1h", subject, ttl)
	}
}

// quiet plays a call between the clumsy one and the other side: the next thing
// that each of them hears is of this call, so that nothing was said before.
func (b *badWorld) quiet(cid string) {
	b.t.Helper()
	b.clumsy.say(signal.Start, cid, "after", nil)
	b.patient.expect(signal.Start, "after")
	b.patient.say(signal.Busy, cid, "after", nil)
	b.clumsy.expect(signal.Busy, "after")
}

// badRoute stores a route between the clumsy one and the other side.
func (b *badWorld) badRoute(cid string) {
	b.t.Helper()
	b.route(cid, func(r *call.Route) {
		r.Operator, r.Customer = identity.MustID(clumsy), identity.MustID(patient)
	})
}

// object is claims, or changes to them.
type object map[string]any

// absent removes a claim.
var absent = new(struct{})

// bytes returns what this endpoint would send as m after changes that no codec
// lets pass, signed well.
func (e *endpoint) bytes(m signal.Message, changes object) []byte {
	e.w.t.Helper()
	payload, err := m.Encode()
	claims := object{}
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	for name, v := range changes {
		claims[name] = v
		if v == any(absent) {
			delete(claims, name)
		}
	}
	if err == nil {
		payload, err = json.Marshal(claims)
	}
	if err != nil {
		e.w.t.Fatalf("claims: %v", err)
	}
	return e.id.Key.Sign(payload)
}

// refused reads the error that must come next. It answers the message with this
// jti.
func (e *endpoint) refused(code signal.Code, ref string) signal.Message {
	e.w.t.Helper()
	m := e.next()
	f, ok := m.Fault()
	if !ok || f.Code != code || f.Ref != ref || f.Detail == "" {
		e.w.t.Fatalf("%s: got %s %s %s, want the error %s about %q", e.id.ID, m.Type, m.Reason, m.Data, code, ref)
	}
	if strings.Contains(string(m.Data), secret) {
		e.w.t.Errorf("%s: the error quotes the message: %s", e.id.ID, m.Data)
	}
	return m
}

// stopped reads the stop that must come next.
func (e *endpoint) stopped(callID string) {
	e.w.t.Helper()
	if m := e.expect(signal.Stop, callID); m.Reason != signal.Failed {
		e.w.t.Errorf("%s: stop %s with reason %q, want error", e.id.ID, callID, m.Reason)
	}
}

// raw returns the bytes of the next live message.
func (e *endpoint) raw() *nats.Msg {
	e.w.t.Helper()
	m, err := e.live.NextMsg(10 * time.Second)
	if err != nil {
		e.w.t.Fatalf("%s: nothing arrived", e.id.ID)
	}
	return m
}

// count returns the value of voicerouter_messages_total for refusals by code.
func (b *badWorld) count(code signal.Code) float64 {
	b.t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "voicerouter_messages_total" && l.GetName() == "code" && l.GetValue() == string(code) {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// journal keeps what is logged.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

// lines returns the lines that contain all of these.
func (j *journal) lines(parts ...string) (found []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
next:
	for line := range strings.Lines(j.buf.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue next
			}
		}
		found = append(found, strings.TrimSpace(line))
	}
	return found
}
