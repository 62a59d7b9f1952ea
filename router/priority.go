package router

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voicerouter/voicerouter/subjects"
)

// Workers of the same priority are served by turns and race for the records of
// calls, so each looks at the start for a priority that no other has. They tell one
// another in the metadata of their service. Nothing depends on it but speed: two
// that do not hear of each other race, and the compare-and-swap decides
// (docs/adr/0029-workers-choose-a-free-priority.md).

// ownPriorities is how many a worker may choose from, the first is 1: all but that
// of workers that leave everything to others.
const ownPriorities = lastPriority - 1

// metadataPriority is the key of a worker's priority in the metadata of its service.
const metadataPriority = "priority"

// peer is another worker, or this one.
type peer struct {
	id       string
	priority int
}

// serve starts the services, which tell the others this worker's priority. Of workers
// that start at the same moment and choose the same, all but one choose again. The
// services answer from the first moment: clients wait for them.
func (r *Router) serve(ctx context.Context) (*services, error) {
	const tries = 4
	for try := 1; ; try++ {
		if r.opts.choose {
			r.opts.Priority = freePriority(r.peers(ctx))
		}
		s, err := r.register(ctx)
		if err != nil {
			return nil, err
		}
		self := peer{s.micro.Info().ID, r.opts.Priority}
		if !r.opts.choose || try == tries || !self.yields(r.peers(ctx)) {
			r.log.Info("pulling with priority", "priority", r.opts.Priority)
			return s, nil
		}
		s.stop()
	}
}

// How long a worker listens for others: for the first answer, and after each.
const (
	listenFor  = 300 * time.Millisecond
	listenMore = 100 * time.Millisecond
)

// peers asks all workers for their priorities. Who does not answer in time is not
// there.
func (r *Router) peers(ctx context.Context) (list []peer) {
	inbox := r.opts.Conn.NewInbox()
	answers, err := r.opts.Conn.SubscribeSync(inbox)
	if err != nil {
		return nil
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := r.opts.Conn.PublishRequest(subjects.RequestServiceInfo(subjects.ServiceRouter), inbox, nil); err != nil {
		return nil
	}
	for patience := listenFor; ; patience = listenMore {
		waiting, cancel := context.WithTimeout(ctx, patience)
		m, err := answers.NextMsgWithContext(waiting)
		cancel()
		if err != nil {
			if !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, context.DeadlineExceeded) {
				r.log.limited("other workers not asked for their priorities", "error", err)
			}
			return list
		}
		var info micro.Info
		if json.Unmarshal(m.Data, &info) != nil {
			continue
		}
		if n, err := strconv.Atoi(info.Metadata[metadataPriority]); err == nil && n >= 1 && n <= ownPriorities {
			list = append(list, peer{info.ID, n})
		}
	}
}

// freePriority returns one of those that the fewest have.
func freePriority(peers []peer) (priority int) {
	least := len(peers) + 1
	for _, i := range rand.Perm(ownPriorities) { // those who start together choose differently
		if n := holders(peers, i+1); n < least {
			priority, least = i+1, n
		}
	}
	return priority
}

func holders(peers []peer, priority int) (n int) {
	for _, p := range peers {
		if p.priority == priority {
			n++
		}
	}
	return n
}

// yields reports whether p is to choose again: another has the same priority, and
// the lesser id, and there is a free one.
func (p peer) yields(peers []peer) bool {
	beaten := false
	for _, other := range peers {
		beaten = beaten || other.priority == p.priority && other.id < p.id
	}
	return beaten && holders(peers, freePriority(peers)) == 0
}
