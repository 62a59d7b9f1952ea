package router

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// Limits bound what one identity may send, per worker. 0 means the default, a
// negative number no limit. Messages of the types stop and busy are never
// limited: a call can always be ended. Only the answers to those that are refused
// are, by Messages and AppMessages.
type Limits struct {
	// Messages per second of a user; default 50, in bursts of twice as many.
	Messages int
	// Starts of calls per minute of a user; default 60, in bursts of half as many.
	Starts int
	// AppMessages per second of an app, its starts included; default 2000, in
	// bursts of twice as many.
	AppMessages int
}

func (l Limits) withDefaults() Limits {
	if l.Messages == 0 {
		l.Messages = 50
	}
	if l.Starts == 0 {
		l.Starts = 60
	}
	if l.AppMessages == 0 {
		l.AppMessages = 2000
	}
	return l
}

// answerEvery is how often an identity over its limit is told so.
const answerEvery = time.Second

// limitedIdentities is how many identities a worker keeps count of; one that was
// silent for long makes room.
const limitedIdentities = 20000

// limiter holds the token buckets. It asks no clock: buckets fill by the
// broker's timestamps, so that a backlog that waited for a fleet is no flood.
type limiter struct {
	limits Limits

	mu      sync.Mutex
	buckets *simplelru.LRU[identity.ID, *bucket]
}

type bucket struct {
	messages, starts, ends *rate.Limiter
	answered               time.Time
}

// pass is what the limiter says of a message.
type pass uint8

const (
	within pass = iota
	over        // refuse, and tell the sender
	silent      // refuse; the sender has just been told
	quiet       // judge, but if that ends in a refusal do not say so
)

func newLimiter(limits Limits) *limiter {
	buckets, err := simplelru.NewLRU[identity.ID, *bucket](limitedIdentities, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &limiter{limits: limits, buckets: buckets}
}

// take judges one message, which the broker stored at this time. It is asked
// before the signature is verified, which costs far more: the broker's
// permissions vouch for the identity in the subject.
func (l *limiter) take(self identity.ID, role identity.Role, typ signal.Type, at time.Time) pass {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets.Get(self)
	if !ok {
		b = l.bucket(role)
		l.buckets.Add(self, b)
	}
	if typ == signal.Stop || typ == signal.Busy {
		if b.ends.AllowN(at, 1) {
			return within
		}
		return quiet // each answer is stored: refusals must not be had without limit
	}
	if b.messages.AllowN(at, 1) && (typ != signal.Start || b.starts.AllowN(at, 1)) {
		return within
	}
	if at.Sub(b.answered) < answerEvery {
		return silent
	}
	b.answered = at
	return over
}

func (l *limiter) bucket(role identity.Role) *bucket {
	if role == identity.RoleApp {
		return &bucket{messages: tokens(l.limits.AppMessages, 1), starts: tokens(-1, 1), ends: tokens(l.limits.AppMessages, 1)}
	}
	return &bucket{messages: tokens(l.limits.Messages, 1), starts: tokens(l.limits.Starts, 60), ends: tokens(l.limits.Messages, 1)}
}

// tokens returns a limiter of n per so many seconds.
func tokens(n, seconds int) *rate.Limiter {
	if n < 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	burst := 2 * n
	if seconds > 1 {
		burst = max(n/2, 1)
	}
	return rate.NewLimiter(rate.Limit(float64(n)/float64(seconds)), burst)
}
