package main

import "time"

// scope is what a fault takes away. Of one scope there is one fault at a time:
// two of three servers, say, are always there.
type scope string

// The scopes.
const (
	ofWorkers   scope = "workers"
	ofServers   scope = "servers"
	ofLeaders   scope = "leaders"
	ofLinks     scope = "links"
	ofEndpoints scope = "endpoints"
)

// rest is the time from the end of a fault to the next of its scope. A server
// that was away has to catch up.
func (s scope) rest() time.Duration {
	if s == ofServers {
		return 8 * time.Second
	}
	return 2 * time.Second
}

// kind is a kind of fault.
type kind struct {
	name   string
	scope  scope
	weight int
	// least and most bound how long it lasts.
	least, most time.Duration
	// mended: recovery counts from its end, because nothing can work before.
	mended bool
	hit    strike
	// does says in the report what is done.
	does string
}

// kinds is every kind of fault there is.
func kinds() []kind {
	const second = time.Second
	return []kind{
		{"worker killed", ofWorkers, 6, second, 5 * second, false, killWorker, "SIGKILL to a worker, started again later"},
		{"worker paused", ofWorkers, 3, second, 12 * second, false, pauseWorker, "SIGSTOP to a worker, SIGCONT later: also behind the ack wait"},
		{"worker terminated", ofWorkers, 3, second, 3 * second, false, terminateWorker, "SIGTERM to a worker, started again later"},
		{"all workers killed", ofWorkers, 1, second, 4 * second, true, killWorkers, "SIGKILL to all workers at once"},
		{"leader stepped down", ofLeaders, 5, 0, 0, false, stepDown, "a stream, a consumer or the meta group changes its leader"},
		{"server killed", ofServers, 3, second, 8 * second, false, killServer, "SIGKILL to a server, started again later"},
		{"server paused", ofServers, 1, second, 6 * second, false, pauseServer, "SIGSTOP to a server, SIGCONT later"},
		{"server cut off", ofServers, 2, 2 * second, 8 * second, false, isolateServer, "the routes of a server to both others are cut; clients reach it"},
		{"route cut", ofServers, 1, 2 * second, 8 * second, false, cutRoute, "the routes between two servers are cut"},
		{"route delayed", ofServers, 1, 2 * second, 6 * second, false, delayRoute, "the routes between two servers take 20 to 80 ms more"},
		{"all servers killed", ofServers, 1, second, 2 * second, true, killServers, "SIGKILL to all servers at once, started again later"},
		{"disk full", ofServers, 1, 2 * second, 4 * second, true, fillDisks, "the store of every server refuses writes"},
		{"link cut", ofLinks, 3, 2 * second, 8 * second, false, cutLink, "a worker, or the endpoints, and a server no longer hear each other"},
		{"link delayed", ofLinks, 3, 2 * second, 6 * second, false, delayLink, "what passes there takes 100 to 300 ms more"},
		{"link reset", ofLinks, 3, second, 3 * second, false, resetLink, "connections there are closed as soon as something passes"},
		{"link refused", ofLinks, 2, second, 4 * second, false, refuseLink, "connections there are closed and refused"},
		{"endpoint killed", ofEndpoints, 4, 0, 0, false, killEndpoint, "an endpoint or a hand-written proxy dies and is started again"},
	}
}
