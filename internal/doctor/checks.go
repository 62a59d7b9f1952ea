package doctor

import "context"

// check is one entry of the table.
type check struct {
	name  string
	about string
	what  string
	needs need
	run   func(context.Context, *exam)
}

// need is what a check cannot be made without.
type need int

const (
	nothing   need = iota
	aServer        // that can be reached
	aLink          // a connection
	jetStream      // a connection to JetStream, as router or admin
	system         // a connection as the user system
)

// checks lists everything that is looked at. Later checks use what earlier ones
// found.
func checks() []check {
	return []check{
		{"environment", "ROUTER_*", "variables, and the files that they name", nothing, checkEnvironment},
		{"keys", "ROUTER_PROXY_KEYS", "key files of the proxies: readable, closed to others, valid", nothing, checkKeys},
		{"certificates", "ROUTER_NATS_TLS_*", "certificate files: valid, not expired, key and certificate belong together", nothing, checkCertificates},
		{"server", "ROUTER_NATS_URL", "each server: name, port, protocol, version, API level, largest message", nothing, checkServers},
		{"tls", "server certificate", "the certificate that each server shows: trusted, for this name, not expired", nothing, checkTLS},
		{"connection", "credential", "the credential is admitted", aServer, checkConnection},
		{"jetstream", "account", "JetStream is there, has the features, and has room", aLink, checkJetStream},
		{"assets", "streams, buckets, consumers", "everything exists and has the settings that routers need", jetStream, checkAssets},
		{"replicas", "streams and buckets", "how many copies there are, and whether they are current", jetStream, checkReplicas},
		{"consumers", "workers", "somebody pulls; nothing lies waiting", jetStream, checkConsumers},
		{"commit", "VOICE_OUT", "an atomic batch is taken up, and its compare-and-swap is enforced", jetStream, checkCommit},
		{"clock", "this machine", "how far its clock is from that of the broker", jetStream, checkClock},
		{"permissions", "users", "what each credential needs is granted, what it must not do is refused", aLink, checkPermissions},
		{"proxies", "directory", "each proxy whose key is here is an app of the directory, with that key", jetStream, checkProxies},
		{"callout", "connections of identities", "a stranger is refused, in time; auth can ask what it must; the test identity is let in", aServer, checkCallout},
		{"fleet", "servers of the cluster", "version, clock, disk, fsync and batch limits of every server", system, checkFleet},
	}
}

// Checks returns the names of the checks, and what each looks at.
func Checks() (list [][2]string) {
	for _, c := range checks() {
		list = append(list, [2]string{c.name, c.what})
	}
	return list
}

// blocked says why the check cannot be made, "" if it can.
func (c check) blocked(e *exam) string {
	switch {
	case c.needs == nothing:
	case !e.reachable:
		return "no server can be reached"
	case c.needs == aServer:
	case c.needs == system:
		if e.as(RoleSystem) == nil {
			return "needs the user system: give --keys a directory with system.nk or system.creds"
		}
	case len(e.links) == 0:
		return "there is no connection"
	case c.needs == jetStream && e.account() == nil:
		return "needs the credential of the user router or admin"
	case c.needs == jetStream && !e.jetstream:
		return "JetStream does not answer"
	}
	return ""
}
