package call

import (
	"testing"
)

// benchState is the record of an active call with a full set of marks.
func benchState(b *testing.B) (*State, Event) {
	b.Helper()
	s := newScript(b)
	s.play("operator/o1 start m peer=offer")
	s.play("customer/k1 accept m peer=answer")
	for range KeepMarks - 2 {
		s.play("operator/o1 candidate m")
	}
	e := s.event([]string{"operator/o1", "update", "m", "peer=sdp", `data={"media":{"hold":true},"note":"x"}`})
	e.AckFloor = e.Seq - 1
	return s.state, e
}

func BenchmarkDecide(b *testing.B) {
	b.Run("update", func(b *testing.B) {
		s, e := benchState(b)
		b.ReportAllocs()
		for b.Loop() {
			Decide(Policy{}, s, e)
		}
	})
	b.Run("start", func(b *testing.B) {
		e := newScript(b).event([]string{"operator/o1", "start", "m", "peer=sdp", `data={"media":"audio"}`})
		e.Route = testRoute()
		b.ReportAllocs()
		for b.Loop() {
			Decide(Policy{}, nil, e)
		}
	})
	b.Run("repeat", func(b *testing.B) {
		s, e := benchState(b)
		e.Msg.JTI = "j1"
		b.ReportAllocs()
		for b.Loop() {
			Decide(Policy{}, s, e)
		}
	})
}

func BenchmarkState(b *testing.B) {
	s, _ := benchState(b)
	text, err := s.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := s.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := DecodeState(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
