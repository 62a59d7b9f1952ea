package cluster

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
)

// Options configures [Start]. Dir and Binaries are required.
type Options struct {
	// Dir holds configurations, keys, stores and logs. A cluster does not remove
	// it; it starts on what it finds there, but for the keys, which are made anew.
	Dir string
	// Binaries are what [Build] returned.
	Binaries Binaries
	// Servers is their number, default 3. Streams have as many replicas, at most 3.
	Servers int
	// Workers is how many are started; others follow with [Cluster.AddWorker].
	Workers int
	// Users and Apps are identities to make: they have keys, are in the directory
	// and may connect.
	Users, Apps []string
	// Proxies are apps whose keys the workers hold.
	Proxies []string
	// Callout is the number of auth callout processes ("router auth") that decide
	// who connects; 0 has the identities stand in the servers' configuration.
	Callout int
	// Links puts a proxy on each way to a server, which can be cut, delayed and
	// reset: from the workers, from the endpoints and from the other servers.
	Links bool
	// Unsynced leaves it to the servers when to fsync. Without it every write is
	// synced before it is acknowledged.
	Unsynced bool
	// Disk is what each server may store, in bytes; default 64 GiB. It has to be
	// little if disks are to be filled.
	Disk int64
	// Configure changes the configuration of a server before it is written.
	Configure func(server string, cfg *broker.Config)
	// WorkerEnv are variables of the workers beyond those that connect them,
	// "ROUTER_RING_TIMEOUT=5s".
	WorkerEnv []string
	// OnFault is told of each fault when it begins and when it ends.
	OnFault func(Fault)
}

func (o Options) withDefaults() (Options, error) {
	if o.Servers == 0 {
		o.Servers = 3
	}
	if o.Disk == 0 {
		o.Disk = 64 << 30
	}
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("cluster: option Dir is missing"))
	}
	if o.Binaries.Router == "" || o.Binaries.Server == "" {
		errs = append(errs, errors.New("cluster: option Binaries is missing: see Build"))
	}
	if o.Servers < 1 || o.Workers < 0 || o.Callout < 0 {
		errs = append(errs, fmt.Errorf("cluster: %d servers, %d workers, %d auth services", o.Servers, o.Workers, o.Callout))
	}
	for _, names := range [][]string{o.Users, o.Apps, o.Proxies} {
		for _, name := range names {
			if _, err := identity.ParseID(name); err != nil {
				errs = append(errs, fmt.Errorf("cluster: %w", err))
			}
		}
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		errs = append(errs, err)
	}
	return o, errors.Join(errs...)
}
