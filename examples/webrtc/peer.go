package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"github.com/voicerouter/voicerouter/voice"
)

// peer is one side: a client of the router that speaks WebRTC.
type peer struct {
	name   string
	client *voice.Client
	log    *transcript

	heard   chan struct{} // closed when enough packets have been received
	ended   chan struct{} // closed when the call is over
	packets atomic.Uint64
	faults  chan error

	once   sync.Once // closes ended
	audio  sync.WaitGroup
	mu     sync.Mutex // guards what follows; held while a description is set
	pc     *webrtc.PeerConnection
	to     string
	callID string
}

func newPeer(ctx context.Context, s *service, name string, log *transcript) (*peer, error) {
	client, err := s.client(ctx, name)
	if err != nil {
		return nil, err
	}
	p := &peer{
		name: name, client: client, log: log,
		heard: make(chan struct{}), ended: make(chan struct{}), faults: make(chan error, 1),
	}
	v := client.Voice()
	v.OnStart(func(iss, cid, callID, peerInfo string, _ interface{}) {
		p.fail("start", p.onStart(iss, callID, peerInfo))
	})
	v.OnRinging(func(iss, cid, callID string) { p.log.say("%s: it rings at the other side", p.name) })
	v.OnAccept(func(iss, cid, callID, peerInfo string, _ interface{}) { p.fail("accept", p.onAccept(peerInfo)) })
	v.OnCandidate(func(iss, cid, callID, candidate string) { p.fail("candidate", p.onCandidate(candidate)) })
	v.OnStop(func(iss, cid, callID string) {
		p.log.say("%s: %s stops the call", p.name, iss)
		p.end()
	})
	return p, nil
}

// call offers a call. The offer names no candidates yet: this callee knows trickle
// ICE; for one that may not, gather first and send a full offer. The lock keeps the answer from being handled before the
// offer is our local description.
func (p *peer) call(to, cid string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.open(to, voice.NewID()); err != nil {
		return err
	}
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	p.log.say("%s: start, with an offer of %d bytes", p.name, len(offer.SDP))
	if err := p.client.Voice().Start(to, cid, p.callID, offer.SDP, map[string]string{"media": "audio"}); err != nil {
		return err
	}
	return p.pc.SetLocalDescription(offer) // candidates trickle from here on
}

// onStart answers a call. Messages of a call come in order, so that candidates
// find the remote description set.
func (p *peer) onStart(iss, callID, offer string) error {
	p.log.say("%s: %s calls", p.name, iss)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.open(iss, callID); err != nil {
		return err
	}
	v := p.client.Voice()
	if err := v.Ringing(iss, cid, callID); err != nil {
		return err
	}
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return err
	}
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	p.log.say("%s: accept, with an answer of %d bytes", p.name, len(answer.SDP))
	if err := v.Accept(iss, cid, callID, answer.SDP, nil); err != nil {
		return err
	}
	return p.pc.SetLocalDescription(answer)
}

func (p *peer) onAccept(answer string) error {
	p.log.say("%s: accepted", p.name)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
}

func (p *peer) onCandidate(candidate string) error {
	var init webrtc.ICECandidateInit
	if err := json.Unmarshal([]byte(candidate), &init); err != nil {
		return err
	}
	p.log.say("%s: hears of the candidate %s", p.name, init.Candidate)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pc.AddICECandidate(init)
}

// trickle sends one of our candidates. The callback runs outside of the lock.
func (p *peer) trickle(to, callID string, c *webrtc.ICECandidate) {
	if c == nil {
		return // that was the last one
	}
	candidate, err := json.Marshal(c.ToJSON())
	if err == nil {
		err = p.client.Voice().Candidate(to, cid, callID, string(candidate))
	}
	p.fail("send candidate", err)
}

// open makes the peer connection of a call.
func (p *peer) open(to, callID string) error {
	if p.pc != nil {
		return errors.New("this peer is in a call")
	}
	pc, track, err := newConnection()
	if err != nil {
		return err
	}
	p.pc, p.to, p.callID = pc, to, callID
	pc.OnICECandidate(func(c *webrtc.ICECandidate) { p.trickle(to, callID, c) })
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		p.log.say("%s: connection %s", p.name, s)
		if s == webrtc.PeerConnectionStateConnected {
			p.audio.Go(func() { p.speak(track) })
		}
	})
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { p.listen(t) })
	return nil
}

// frame is 20 ms of silence in Opus.
var frame = media.Sample{Data: []byte{0xf8, 0xff, 0xfe}, Duration: 20 * time.Millisecond}

func (p *peer) speak(track *webrtc.TrackLocalStaticSample) {
	tick := time.NewTicker(frame.Duration)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
			if err := track.WriteSample(frame); err != nil {
				return // the connection is closing
			}
		}
	}
}

func (p *peer) listen(track *webrtc.TrackRemote) {
	for {
		if _, _, err := track.ReadRTP(); err != nil {
			return // the connection is closing
		}
		if p.packets.Add(1) == enough {
			p.log.say("%s: hears audio, %s", p.name, track.Codec().MimeType)
			close(p.heard)
		}
	}
}

// hangUp stops the call.
func (p *peer) hangUp() error {
	p.log.say("%s: stop", p.name)
	p.mu.Lock()
	to, callID := p.to, p.callID
	p.mu.Unlock()
	err := p.client.Voice().Stop(to, cid, callID)
	p.end()
	return err
}

func (p *peer) end() { p.once.Do(func() { close(p.ended) }) }

// wait waits for one of the peer's events.
func (p *peer) wait(ctx context.Context, event <-chan struct{}, what string) error {
	select {
	case <-event:
		return nil
	case err := <-p.faults:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s: waiting for %s: %w", p.name, what, ctx.Err())
	}
}

// fail keeps the first error of a handler.
func (p *peer) fail(what string, err error) {
	if err == nil {
		return
	}
	select {
	case p.faults <- fmt.Errorf("%s: %s: %w", p.name, what, err):
	default:
	}
}

// close ends the connections to the other peer and to the router.
func (p *peer) close() error {
	p.end()
	p.mu.Lock()
	pc := p.pc
	p.mu.Unlock()
	var err error
	if pc != nil {
		err = pc.GracefulClose()
	}
	p.audio.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(err, p.client.Close(ctx))
}
