package signal_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// sdp is an offer as a browser makes it, about 2 KB: one audio section with its
// codecs, header extensions and candidates.
var sdp = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\n" +
	"a=msid-semantic: WMS 6f8a2c1e-5b7d-4e21-9f3a-0c2b7d9e4a11\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n" +
	"a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlMv\r\na=ice-options:trickle\r\n" +
	"a=fingerprint:sha-256 75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:65:FB:04:24\r\n" +
	"a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n" +
	"a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\na=sendrecv\r\na=rtcp-mux\r\na=rtcp-rsize\r\n" +
	"a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n" +
	"a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n" +
	strings.Repeat("a=candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0\r\n", 8)

func offer(t testing.TB) (signal.Message, identity.PrivateKey, []identity.PublicKey) {
	t.Helper()
	key, err := identity.GenerateKey("1")
	if err != nil {
		t.Fatal(err)
	}
	m := message()
	m.PeerInfo, m.Data = sdp, jsontext.Value(`{"media":"audio"}`)
	return m, key, []identity.PublicKey{key.Public()}
}

// BenchmarkDecodeVerify is what the router does with every message it receives:
// envelope, signature, claims.
func BenchmarkDecodeVerify(b *testing.B) {
	m, key, keys := offer(b)
	payload, err := m.Encode()
	if err != nil {
		b.Fatal(err)
	}
	data := key.Sign(payload)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		e, err := identity.ParseEnvelope(data)
		if err == nil {
			err = e.Verify(keys)
		}
		if err == nil {
			_, err = signal.Decode(e.Payload)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode is BenchmarkDecodeVerify without the signature.
func BenchmarkDecode(b *testing.B) {
	m, key, _ := offer(b)
	payload, err := m.Encode()
	if err != nil {
		b.Fatal(err)
	}
	data := key.Sign(payload)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		e, err := identity.ParseEnvelope(data)
		if err == nil {
			_, err = signal.Decode(e.Payload)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodeSign is what the router does with every message it sends.
func BenchmarkEncodeSign(b *testing.B) {
	m, key, _ := offer(b)
	b.ReportAllocs()
	for b.Loop() {
		payload, err := m.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(key.Sign(payload))))
	}
}
