// Package cluster runs a fleet as production has it, on loopback: nats-server
// processes joined by routes, router processes of the real binary, streams of
// three replicas - and breaks it: processes are killed, stopped and ended,
// leaders step down, networks are cut, delayed and reset, disks fill up.
//
// Everything that is started here ends with [Cluster.Close], and with this
// process, however that ends.
package cluster
