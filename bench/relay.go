package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/voicerouter/voicerouter/internal/broker"
)

// relay runs one of the relays that the router is compared with, as a process of
// its own, until it is told to end.
func relay(kind, url, httpAddr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	listener, err := net.Listen("tcp", httpAddr)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	go func() { _ = http.Serve(listener, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})) }()
	switch kind {
	case "raw":
		return relayRaw(ctx, url)
	case "plain":
		return relayPlain(ctx, url)
	case "batches":
		return relayBatches(ctx, url)
	case "watermill":
		return relayWatermill(ctx, url)
	default:
		return fmt.Errorf("relay %q: want raw, plain, batches or watermill", kind)
	}
}

// relayFrom connects and makes the consumer that a relay pulls from.
func relayFrom(ctx context.Context, url string, ack jetstream.AckPolicy, pending int, opts ...jetstream.JetStreamOpt) (*natsgo.Conn, jetstream.JetStream, jetstream.Consumer, error) {
	nc, err := natsgo.Connect(url, natsgo.UserInfo(broker.UserAdmin, password))
	if err != nil {
		return nil, nil, nil, err
	}
	js, err := jetstream.New(nc, opts...)
	if err != nil {
		return nil, nil, nil, err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, relayIn, jetstream.ConsumerConfig{Durable: relayDurable, AckPolicy: ack, MaxAckPending: pending})
	return nc, js, consumer, err
}

// pull asks for so many messages.
func pull(nc *natsgo.Conn, inbox string, n int) error {
	return nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+relayIn+"."+relayDurable, inbox, fmt.Appendf(nil, `{"batch":%d}`, n))
}

// The raw relay keeps this many messages requested and acknowledges as many at
// once, with one AckAll.
const (
	rawPull  = 2000
	rawGroup = 250
)

// relayRaw is the limit: whatever a pull brings is published to another subject
// without waiting, bytes untouched; when a whole group is known to be stored, its
// last message is acknowledged and with it all before.
func relayRaw(ctx context.Context, url string) error {
	nc, _, _, err := relayFrom(ctx, url, jetstream.AckAllPolicy, 20*rawPull)
	if err != nil {
		return err
	}
	defer nc.Close()
	r := rawRelay{nc: nc, in: natsgo.NewInbox(), acks: natsgo.NewInbox(), failed: make(chan error, 1)}
	if _, err := nc.Subscribe(r.acks, r.stored); err != nil {
		return err
	}
	if _, err := nc.Subscribe(r.in, r.relay); err != nil {
		return err
	}
	if err := pull(nc, r.in, rawPull); err != nil {
		return err
	}
	idle := time.NewTicker(50 * time.Millisecond)
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-r.failed:
			return err
		case <-idle.C:
			r.settle(true)
		}
	}
}

// rawRelay publishes in one goroutine and counts acknowledgements in another: a
// stream acknowledges one connection's messages in their order.
type rawRelay struct {
	nc        *natsgo.Conn
	in, acks  string
	published atomic.Int64
	confirmed atomic.Int64
	// replies is a ring of the acknowledgement subjects of what was published.
	replies [64 * rawPull]atomic.Pointer[string]
	settled atomic.Int64
	pulled  int
	failed  chan error
}

func (r *rawRelay) relay(m *natsgo.Msg) {
	if m.Reply == "" || m.Header.Get("Status") != "" {
		return
	}
	subject := "relay.out." + m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	n := r.published.Load()
	r.replies[n%int64(len(r.replies))].Store(&m.Reply)
	r.published.Add(1)
	if err := r.nc.PublishRequest(subject, r.acks, m.Data); err != nil {
		r.fail(err)
	}
	if r.pulled++; r.pulled == rawPull/2 {
		r.pulled = 0
		if err := pull(r.nc, r.in, rawPull/2); err != nil {
			r.fail(err)
		}
	}
}

func (r *rawRelay) stored(m *natsgo.Msg) {
	if bytes.Contains(m.Data, []byte(`"error"`)) {
		r.fail(fmt.Errorf("not stored: %s", m.Data))
		return
	}
	r.confirmed.Add(1)
	r.settle(false)
}

// settle acknowledges a whole group, or whatever is stored if that is not all that
// was published lately: nothing more may come for a while.
func (r *rawRelay) settle(all bool) {
	confirmed, settled := r.confirmed.Load(), r.settled.Load()
	if confirmed == settled || !all && confirmed-settled < rawGroup && confirmed != r.published.Load() {
		return
	}
	if !r.settled.CompareAndSwap(settled, confirmed) {
		return
	}
	reply := r.replies[(confirmed-1)%int64(len(r.replies))].Load()
	if err := r.nc.Publish(*reply, []byte("+ACK")); err != nil {
		r.fail(err)
	}
}

func (r *rawRelay) fail(err error) {
	select {
	case r.failed <- err:
	default:
	}
}

// relayPlain is the same as one writes it with nats.go: Consume, PublishMsgAsync, and
// each message acknowledged by itself, once it is stored.
func relayPlain(ctx context.Context, url string) error {
	nc, js, consumer, err := relayFrom(ctx, url, jetstream.AckExplicitPolicy, 20000, jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		return err
	}
	defer nc.Close()
	type published struct {
		in  jetstream.Msg
		out jetstream.PubAckFuture
	}
	open := make(chan published, 4000)
	failed := make(chan error, 1)
	go func() {
		for p := range open {
			select {
			case <-p.out.Ok():
				_ = p.in.Ack()
			case err := <-p.out.Err():
				failed <- err
				return
			}
		}
	}()
	flow, err := consumer.Consume(func(m jetstream.Msg) {
		subject := "relay.out." + m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
		out, err := js.PublishAsync(subject, m.Data(), jetstream.WithStallWait(time.Minute))
		if err != nil {
			return // it comes again
		}
		open <- published{m, out}
	}, jetstream.PullMaxMessages(rawPull))
	if err != nil {
		return err
	}
	defer flow.Stop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// Of an atomic batch, which has at most 1000 messages, a message that came in takes two.
const (
	batchGroup = 450
	batchOpen  = 2
	recordSize = 700 // of a call record in the middle of a call
)

// relayBatches stores what the router stores, in the way in which it has to, and does
// nothing else: for each message a record and the message itself, in atomic batches, then
// an acknowledgement of its own. It looks at nothing, signs nothing and writes no timer.
func relayBatches(ctx context.Context, url string) error {
	nc, js, _, err := relayFrom(ctx, url, jetstream.AckExplicitPolicy, 20000)
	if err != nil {
		return err
	}
	defer nc.Close()
	in, arrived := natsgo.NewInbox(), make(chan *natsgo.Msg, 2*rawPull)
	if _, err := nc.ChanSubscribe(in, arrived); err != nil {
		return err
	}
	if err := pull(nc, in, rawPull); err != nil {
		return err
	}
	record := bytes.Repeat([]byte{'r'}, recordSize)
	open, failed, pulled := make(chan struct{}, batchOpen), make(chan error, batchOpen), 0
	for {
		var group []*natsgo.Msg
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case m := <-arrived:
			if m.Reply == "" {
				continue // the server says something of a request
			}
			group = append(group, m)
		}
		open <- struct{}{}
		for more := true; more && len(group) < batchGroup; {
			select {
			case m := <-arrived:
				group = append(group, m)
			default:
				more = false
			}
		}
		if pulled += len(group); pulled >= rawPull/2 {
			if err := pull(nc, in, pulled); err != nil {
				return err
			}
			pulled = 0
		}
		go func() {
			if err := storeGroup(ctx, nc, js, group, record); err != nil {
				failed <- err
			}
			<-open
		}()
	}
}

func storeGroup(ctx context.Context, nc *natsgo.Conn, js jetstream.JetStream, group []*natsgo.Msg, record []byte) error {
	batch := make([]*natsgo.Msg, 0, 2*len(group))
	for _, m := range group {
		to := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
		batch = append(batch,
			&natsgo.Msg{Subject: "relay.record." + string(m.Data[:10]), Data: record, Header: natsgo.Header{}},
			&natsgo.Msg{Subject: "relay.out." + to, Data: m.Data, Header: natsgo.Header{}})
	}
	if _, err := jetstreamext.PublishMsgBatch(ctx, js, batch, jetstreamext.BatchFlowControl{}); err != nil {
		return err
	}
	for _, m := range group {
		if err := nc.Publish(m.Reply, []byte("+ACK")); err != nil {
			return err
		}
	}
	return nil
}

// watermillParallel is how many messages Watermill handles at once. Fewer leave it
// waiting for the server; more change nothing.
const watermillParallel = 64

// relayWatermill is what a Go program made of Watermill's parts does: JetStream
// in, a look-up in a bucket, JetStream out, ack. No signature, no state.
func relayWatermill(ctx context.Context, url string) error {
	opts := []natsgo.Option{natsgo.UserInfo(broker.UserAdmin, password)}
	nc, err := natsgo.Connect(url, opts...)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	kv, err := js.KeyValue(ctx, relayBucket)
	if err != nil {
		return err
	}
	log := watermill.NopLogger{}
	marshaler := &nats.NATSMarshaler{}
	subscriber, err := nats.NewSubscriber(nats.SubscriberConfig{
		URL: url, NatsOptions: opts, QueueGroupPrefix: relayDurable, SubscribersCount: watermillParallel, Unmarshaler: marshaler,
		JetStream: nats.JetStreamConfig{
			DurablePrefix: relayDurable, AckAsync: true,
			SubscribeOptions: []natsgo.SubOpt{natsgo.ManualAck(), natsgo.DeliverAll(), natsgo.AckExplicit(), natsgo.MaxAckPending(20000)},
		},
	}, log)
	if err != nil {
		return err
	}
	publisher, err := nats.NewPublisher(nats.PublisherConfig{URL: url, NatsOptions: opts, Marshaler: marshaler}, log)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, log)
	if err != nil {
		return err
	}
	router.AddHandler("relay", "relay.in.*", subscriber, "relay.out.watermill", publisher, func(m *message.Message) ([]*message.Message, error) {
		call, err := strconv.Atoi(string(m.Payload[:10]))
		if err != nil {
			return nil, err
		}
		if _, err := kv.Get(m.Context(), strconv.Itoa(call)); err != nil {
			return nil, err
		}
		return []*message.Message{message.NewMessage(watermill.NewShortUUID(), m.Payload)}, nil
	})
	return router.Run(ctx)
}
