package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

// serverState is the part of a server's VARZ that matters here.
type serverState struct {
	Name      string    `json:"server_name"`
	Version   string    `json:"version"`
	Now       time.Time `json:"now"`
	JetStream struct {
		Config *struct {
			MaxStore     int64 `json:"max_storage"`
			SyncInterval int64 `json:"sync_interval"` // nanoseconds
			SyncAlways   bool  `json:"sync_always"`
		} `json:"config"`
		Stats *struct {
			Store uint64 `json:"storage"`
		} `json:"stats"`
		Limits *struct {
			BatchSize int `json:"max_batch_size"`
			PerStream int `json:"max_batch_inflight_per_stream"`
		} `json:"limits"`
	} `json:"jetstream"`
	CertificateEnds time.Time `json:"tls_cert_not_after"`
}

// patience is how long to wait for a further server to answer.
const patience = 500 * time.Millisecond

// checkFleet asks every server of the cluster about itself.
func checkFleet(ctx context.Context, e *exam) {
	before := e.Now()
	states, err := e.servers(ctx)
	after := e.Now()
	if err != nil {
		e.add(Wrong, "servers", err.Error(), mendPermissions)
		return
	}
	for _, s := range states {
		e.judgeState(s, before, after)
	}
	if len(states) == 2 {
		e.add(Warn, "cluster", "two servers: neither can go on without the other", "run three servers")
	}
}

// servers collects the answers of all servers until no further one comes.
func (e *exam) servers(ctx context.Context) (states []serverState, err error) {
	nc := e.as(RoleSystem).nc
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishRequest(subjects.RequestServers, sub.Subject, nil); err != nil {
		return nil, err
	}
	for wait := e.Timeout; ; wait = patience {
		waiting, cancel := context.WithTimeout(ctx, wait)
		msg, err := sub.NextMsgWithContext(waiting)
		cancel()
		switch {
		case err != nil && len(states) > 0:
			return states, nil
		case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded):
			return nil, errors.New("no server answers: is this the credential of a user of the account SYS?")
		case err != nil:
			return nil, err
		}
		var answer struct {
			Data serverState `json:"data"`
		}
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			return nil, fmt.Errorf("the answer of a server cannot be read: %w", err)
		}
		states = append(states, answer.Data)
	}
}

func (e *exam) judgeState(s serverState, before, after time.Time) {
	about := "server " + s.Name
	if status, seen := offsetOf(before, after, s.Now); status != OK {
		e.add(status, about, "this machine's clock is "+seen, "synchronise the clocks of this machine and of the server by NTP: \"timedatectl set-ntp true\" or chrony")
	}
	js := s.JetStream
	if js.Config == nil {
		e.add(Warn, about, "nats-server "+s.Version+" without JetStream", "give it a block jetstream, or keep it out of the placement of the streams")
		return
	}
	if tooOld(s.Version) {
		e.add(Wrong, about, "nats-server "+s.Version+" is too old", "install nats-server "+provision.NeedVersion+" or later")
	}
	if limit := js.Config.MaxStore; limit > 0 && js.Stats != nil {
		e.judgeRoom(about+" disk", js.Stats.Store, 0, limit, "max_file_store of the server")
	}
	switch {
	case js.Config.SyncAlways:
		e.add(OK, about, "nats-server "+s.Version+", every write is fsynced before it is acknowledged", "")
	default:
		e.add(Warn, about, fmt.Sprintf("nats-server %s, fsync every %s only: when the power fails on all replicas at once, acknowledged calls are lost", s.Version, time.Duration(js.Config.SyncInterval)),
			"set sync_interval: always (\"router provision --server-config --sync-always\"), or accept it knowingly")
	}
	if l := js.Limits; l != nil && l.BatchSize > 0 && l.BatchSize < needBatch {
		e.add(Wrong, about, fmt.Sprintf("a batch may have %d messages at most: commits of more are refused", l.BatchSize),
			"remove max_msgs from jetstream { limits { batch { ... } } } of the server")
	}
}

// needBatch is how many messages a worker puts into a batch at most.
const needBatch = 900

// tooOld compares releases; what does not look like one is not judged.
func tooOld(version string) bool {
	var have, need [2]int
	if n, _ := fmt.Sscanf(version, "%d.%d", &have[0], &have[1]); n != 2 {
		return false
	}
	if n, _ := fmt.Sscanf(provision.NeedVersion, "%d.%d", &need[0], &need[1]); n != 2 {
		return false
	}
	return have[0] < need[0] || have[0] == need[0] && have[1] < need[1]
}
