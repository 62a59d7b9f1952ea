package cluster

import "time"

// Kind names what is done to a cluster.
type Kind string

// The kinds of faults.
const (
	WorkerKill  Kind = "worker killed"
	WorkerPause Kind = "worker paused"
	WorkerEnd   Kind = "worker terminated"
	ServerKill  Kind = "server killed"
	ServerPause Kind = "server paused"
	ServerEnd   Kind = "server terminated"
	LeaderMoved Kind = "leader stepped down"
	LinkCut     Kind = "link cut"
	LinkRefused Kind = "link refused"
	LinkDelayed Kind = "link delayed"
	LinkReset   Kind = "link reset"
	DiskFull    Kind = "disk full"
)

// Fault is one moment of a fault: its begin, or its end, when what was broken is
// mended again. What is over in a moment, as a leader that steps down, has a
// begin only.
type Fault struct {
	At     time.Time
	Kind   Kind
	Target string // a server, a worker, a link or a stream
	End    bool
	Detail string // for people
}

// note reports a fault to whoever wants to know.
func (c *Cluster) note(kind Kind, target string, end bool, detail string) {
	if c.opts.OnFault != nil {
		c.opts.OnFault(Fault{At: time.Now(), Kind: kind, Target: target, End: end, Detail: detail})
	}
}
