package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

// production is the number of copies with which the loss of a server loses
// nothing and stops nothing.
const production = 3

func streamNames() []string {
	return []string{subjects.StreamIn, subjects.StreamOut, subjects.KV(subjects.BucketRoutes), subjects.KV(subjects.BucketIdentities)}
}

// checkReplicas looks at the copies of each stream. How many there should be is
// said by ROUTER_REPLICAS; without it, a cluster should have three.
func checkReplicas(ctx context.Context, e *exam) {
	l := e.account()
	single := 0
	for _, name := range streamNames() {
		info, err := e.streamInfo(ctx, l, name)
		if err != nil {
			if !missing(err) {
				e.add(Wrong, name, err.Error(), mendJetStream(err))
			}
			continue
		}
		if info.Cluster == nil || info.Cluster.Name == "" {
			single++
		}
		e.judgeReplicas(name, info)
	}
	if single > 0 && e.Provision.Replicas <= 1 {
		e.add(Warn, "servers", "one server that is in no cluster: when it is gone, everything stops, and when its disk is gone, everything is lost",
			"for production run a cluster of three servers and \"router provision --replicas 3 --update\"")
	}
}

func (e *exam) judgeReplicas(name string, info *jetstream.StreamInfo) {
	have, want := info.Config.Replicas, e.Provision.Replicas
	clustered := info.Cluster != nil && info.Cluster.Name != ""
	servers := len(e.server.ConnectURLs) // 0: the servers do not say
	if want == 0 && clustered && (servers == 0 || servers >= production) {
		want = production
	}
	mend := fmt.Sprintf("\"router provision --replicas %d --update\" with the credential of the user admin", want)
	switch {
	case have < want && !clustered:
		e.add(Wrong, name, fmt.Sprintf("%d replica, want %d, and the server is in no cluster", have, want), "add servers to make a cluster of three, then "+mend)
	case have < want:
		e.add(Wrong, name, fmt.Sprintf("%d of the %d replicas that there should be: the loss of a server stops calls, or loses them", have, want), mend)
	case clustered && have < production:
		e.add(Warn, name, fmt.Sprintf("%d replicas: the loss of a server stops calls, or loses them", have),
			"run at least three servers, set ROUTER_REPLICAS=3, and \"router provision --replicas 3 --update\"")
	default:
		e.judgePeers(name, info)
	}
}

func (e *exam) judgePeers(name string, info *jetstream.StreamInfo) {
	c := info.Cluster
	if c == nil || c.Name == "" {
		e.add(OK, name, "on one server", "")
		return
	}
	if c.Leader == "" {
		e.add(Wrong, name, "no leader: nothing can be stored", "start the servers that hold its replicas: \"nats stream info "+name+"\"")
		return
	}
	for _, p := range c.Replicas {
		if p.Offline || !p.Current {
			e.add(Warn, name, fmt.Sprintf("replica on %s is behind or offline (lag %d, heard of %s ago)", p.Name, p.Lag, p.Active.Round(time.Millisecond)),
				"start the server "+p.Name+", or wait until it has caught up")
			return
		}
	}
	e.add(OK, name, fmt.Sprintf("%d replicas, all current", info.Config.Replicas), "")
}

func (e *exam) streamInfo(ctx context.Context, l *link, name string) (info *jetstream.StreamInfo, err error) {
	err = e.ask(ctx, l, func(ctx context.Context) error {
		s, err := l.js.Stream(ctx, name)
		if err == nil {
			info = s.CachedInfo()
		}
		return err
	})
	return info, err
}

// checkConsumers looks whether workers pull.
func checkConsumers(ctx context.Context, e *exam) {
	l := e.account()
	for _, c := range [][2]string{{subjects.StreamIn, subjects.ConsumerRouter}, {subjects.StreamOut, subjects.ConsumerTimeouts}} {
		var info *jetstream.ConsumerInfo
		err := e.ask(ctx, l, func(ctx context.Context) error {
			consumer, err := l.js.Consumer(ctx, c[0], c[1])
			if err == nil {
				info = consumer.CachedInfo()
			}
			return err
		})
		about := "consumer " + c[1]
		if err != nil {
			e.add(Skipped, about, "cannot be asked: "+err.Error(), "")
			continue
		}
		seen := fmt.Sprintf("%d pull requests wait, %d messages are pending, %d of at most %d not acknowledged",
			info.NumWaiting, info.NumPending, info.NumAckPending, info.Config.MaxAckPending)
		switch {
		case info.NumWaiting == 0 && info.NumPending > 0:
			e.add(Warn, about, seen+": no worker is ready for them", "start \"router serve\", or look at /readyz of the workers")
		case info.Config.MaxAckPending > 0 && 10*info.NumAckPending >= 9*info.Config.MaxAckPending:
			e.add(Warn, about, seen, "look at the log of the workers: messages come again and again, and deliveries stop at the limit")
		default:
			e.add(OK, about, seen, "")
		}
	}
}

// Headers of an atomic batch (nats-server, ADR-50).
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// checkCommit commits a batch that must be refused for its compare-and-swap, as a
// worker that has lost a race is refused: nothing of it is stored.
func checkCommit(ctx context.Context, e *exam) {
	l := e.account()
	msg := nats.NewMsg(subjects.State(token()))
	msg.Header.Set(headerBatchID, token())
	msg.Header.Set(headerBatchSeq, "1")
	msg.Header.Set(headerBatchCommit, "1")
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(1<<62, 10)) // of a subject that has none
	var err error
	refused := e.ask(ctx, l, func(ctx context.Context) error {
		_, err = l.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
		return err
	})
	api, answered := errors.AsType[*jetstream.APIError](refused)
	const about = "stream " + subjects.StreamOut
	switch {
	case answered && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == codeWrongSequence):
		e.add(OK, about, "a batch with a sequence that cannot be was refused, as it must be", "")
	case missing(refused):
		e.add(Skipped, about, "does not exist", "")
	case refused == nil:
		e.add(Wrong, about, "a batch whose compare-and-swap cannot hold was stored: calls could overwrite each other", "install nats-server "+provision.NeedVersion+" or later on every server")
	case errors.Is(refused, nats.ErrPermissionViolation):
		e.add(Wrong, about, refused.Error(), mendPermissions)
	case answered:
		e.add(Wrong, about, "batches are refused: "+api.Error(), e.command("router provision --update"))
	default:
		e.add(Wrong, about, "a batch is not answered: "+refused.Error(), e.command("router provision"))
	}
}

// codeWrongSequence is what a stream with several replicas, and a batch, answer to
// a compare-and-swap that does not hold.
const codeWrongSequence = 10164

// Bounds of the clock's offset. A message counts within 60 s of skew (protocol.md,
// "Time"); half of that belongs to the other side.
const (
	clockWarn  = time.Second
	clockWrong = 30 * time.Second
)

// checkClock compares this machine's clock with that of the server that leads
// VOICE_IN, by whose timestamps messages are judged.
func checkClock(ctx context.Context, e *exam) {
	l := e.account()
	const about = "this machine"
	before := e.Now()
	info, err := e.streamInfo(ctx, l, subjects.StreamIn)
	after := e.Now()
	if err != nil || info.TimeStamp.IsZero() {
		e.add(Skipped, about, "stream "+subjects.StreamIn+" cannot be asked for the time", "")
		return
	}
	status, seen := offsetOf(before, after, info.TimeStamp)
	mend := ""
	if status != OK {
		mend = "synchronise the clocks of this machine and of the servers by NTP: \"timedatectl set-ntp true\" or chrony, then \"timedatectl status\""
	}
	e.add(status, about, seen, mend)
}

// offsetOf judges a clock by a question that was asked at before and answered by
// the other clock at there, and whose answer came at after.
func offsetOf(before, after, there time.Time) (Status, string) {
	offset, doubt := before.Add(after.Sub(before)/2).Sub(there), after.Sub(before)/2
	direction := "ahead of"
	if offset < 0 {
		direction = "behind"
	}
	distance := offset.Abs()
	seen := fmt.Sprintf("%s %s the broker's clock, give or take %s", distance.Round(time.Millisecond), direction, doubt.Round(time.Millisecond))
	if distance <= doubt || distance < time.Millisecond {
		seen = fmt.Sprintf("agrees with the broker's clock within %s", max(distance, doubt).Round(time.Millisecond)+time.Millisecond)
	}
	switch least := distance - doubt; {
	case least > clockWrong:
		return Wrong, seen + ": what is signed here is refused by others as too old or not yet valid"
	case least > clockWarn:
		return Warn, seen
	default:
		return OK, seen
	}
}
