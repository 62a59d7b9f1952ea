// Command webrtc sets up a real call between two peers through the router and
// lets audio flow: the offer, the answer and the trickled ICE candidates travel
// as peer_info of masked messages, the RTP packets go directly from peer to peer.
// Server, router and both peers run in this process, on the loopback interface.
//
//	go run .
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"
)

// enough packets are half a second of audio.
const enough = 25

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "webrtc:", err)
		stop()
		os.Exit(1)
	}
}

// run plays one call and says what happens.
func run(ctx context.Context, out io.Writer) error {
	log := newTranscript(out)
	heard, err := play(ctx, log)
	if err != nil {
		return err
	}
	log.say("done: the operator heard %d packets of the customer, the customer %d of the operator", heard.operator, heard.customer)
	return nil
}

// packets counts the RTP packets that each side received.
type packets struct{ operator, customer uint64 }

// play sets up a call, waits until both sides hear each other, and hangs up.
func play(ctx context.Context, log *transcript) (heard packets, err error) {
	service, err := startService(ctx)
	if err != nil {
		return packets{}, err
	}
	defer func() { err = first(err, service.stop()) }()
	op, err := newPeer(ctx, service, operator, log)
	if err != nil {
		return packets{}, err
	}
	defer func() { err = first(err, op.close()) }()
	cu, err := newPeer(ctx, service, customer, log)
	if err != nil {
		return packets{}, err
	}
	defer func() { err = first(err, cu.close()) }()

	if err := op.call(proxy, cid); err != nil {
		return packets{}, err
	}
	for _, p := range []*peer{op, cu} {
		if err := p.wait(ctx, p.heard, "audio"); err != nil {
			return packets{}, err
		}
	}
	if err := op.hangUp(); err != nil {
		return packets{}, err
	}
	if err := cu.wait(ctx, cu.ended, "the end of the call"); err != nil {
		return packets{}, err
	}
	return packets{operator: op.packets.Load(), customer: cu.packets.Load()}, nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// transcript writes lines with the time since the beginning.
type transcript struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

func newTranscript(out io.Writer) *transcript { return &transcript{out: out, began: time.Now()} }

func (t *transcript) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%6.3fs  %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, args...))
}
