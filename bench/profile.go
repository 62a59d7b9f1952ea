package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	_ "net/http/pprof" // serves on a port of the loopback address, for this run
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/google/pprof/profile"
	natsgo "github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

// profiled runs a worker like "router serve", with pprof beside it.
func profiled(url, keys, httpAddr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	listener, err := net.Listen("tcp", httpAddr)
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(listener, nil) }()
	nc, err := natsgo.Connect(url, natsgo.UserInfo(broker.UserRouter, password),
		natsgo.CustomInboxPrefix(subjects.InboxPrefix(broker.UserRouter)), natsgo.SyncQueueLen(router.SyncQueueLen))
	if err != nil {
		return err
	}
	defer nc.Close()
	key, err := identity.ReadPrivateKey(filepath.Join(keys, proxyName+".jwk"))
	if err != nil {
		return err
	}
	r, err := router.New(router.Options{
		Conn: nc, Proxies: map[identity.ID]identity.PrivateKey{identity.MustID(proxyName): key},
		Limits: router.Limits{Messages: -1, Starts: -1},
	})
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// profiles takes processor profiles of a worker and of the server while a backlog
// is drained.
func (b bench) profiles(ctx context.Context) error {
	v := variant{name: "profile", storage: storageF, replicas: 1, signatures: "required", script: whole, messages: 100000, profile: true}
	s, err := newSet(ctx, b.dir, b.programs, v)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := s.backlog(ctx); err != nil {
		return err
	}
	if _, err := s.work(); err != nil {
		return err
	}
	if err := s.workers[0].awaitURL(ctx, "http://"+s.workers[0].http+"/debug/pprof/"); err != nil {
		return err
	}
	taken := make(chan error, 2)
	for name, addr := range map[string]string{"worker": s.workers[0].http, "server": s.servers[0].http} {
		go func() { taken <- b.profile(name, addr) }()
	}
	for range 2 {
		if err := <-taken; err != nil {
			return err
		}
	}
	return nil
}

const profileSeconds = 6

func (b bench) profile(name, addr string) error {
	resp, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", addr, profileSeconds))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(os.TempDir(), "bench-"+name+".pprof"), data, 0o600); err != nil {
		return err
	}
	p, err := profile.Parse(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("profile of the %s: %w", name, err)
	}
	for what, share := range shares(p, parts[name]) {
		if err := b.out.add(result{Kind: "profile", Variant: name, Micro: what, X: share}); err != nil {
			return err
		}
	}
	return nil
}

// part is one thing that a process spends time on; a sample belongs to the first
// one in the list that has a function on its stack.
type part struct {
	what      string
	functions []string // beginnings of names, behind the module's path
}

var parts = map[string][]part{
	"worker": {
		{"collecting garbage", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge"}},
		{"verifying signatures", []string{"identity.VerifyAll", "identity.(*Envelope).Verify"}},
		{"signing", []string{"primitives/ed25519.Sign", "identity.PrivateKey.sign"}},
		{"decoding envelope and claims", []string{"identity.Parse", "signal.Decode", "router.verifier"}},
		{"deciding", []string{"router.(*worker).decide"}},
		{"encoding call records", []string{"call.(*State).Encode", "call.(*State).AppendJSON"}},
		{"encoding messages", []string{"router.outbound"}},
		{"publishing batches", []string{"jetstreamext.", "router.(*ledger).commit", "router.(*publisher)"}},
		{"acknowledging", []string{"jetstream.(*jetStreamMsg)", "router.(*worker).ack", "router.(*worker).finish"}},
		{"receiving", []string{"nats%2ego.(*Conn).readLoop", "nats.(*Conn).readLoop", "jetstream.(*pull", "router.intake", "nats.(*Conn).waitForMsgs"}},
		{"writing to the connection", []string{"nats.(*Conn).flusher"}},
		{"scheduling", []string{"runtime.schedule", "runtime.mcall", "runtime.findRunnable"}},
	},
	"server": {
		{"collecting garbage", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep"}},
		{"the inbound consumer: delivering", []string{"server.(*consumer).loopAndGatherMsgs"}},
		{"the inbound consumer: acknowledgements", []string{"server.(*consumer).processInboundAcks", "server.(*consumer).processAck"}},
		{"atomic batches: staging and committing", []string{"server.(*stream).processJetStreamAtomicBatchMsg"}},
		{"storing, of what is not in a batch", []string{"server.(*stream).processInboundJetStreamMsg", "server.(*stream).processJetStreamMsg"}},
		{"writing files in the background", []string{"server.(*fileStore)", "server.(*msgBlock)"}},
		{"reading from clients", []string{"server.(*client).readLoop"}},
		{"sending to clients", []string{"server.(*stream).internalLoop", "server.(*client)"}},
		{"scheduling", []string{"runtime.schedule", "runtime.mcall", "runtime.findRunnable"}},
	},
}

// shares returns the percentage of a profile's samples that each part has.
func shares(p *profile.Profile, list []part) map[string]float64 {
	sum, total := make(map[string]int64), int64(0)
	for _, sample := range p.Sample {
		value := sample.Value[len(sample.Value)-1]
		total += value
		sum[partOf(sample, list)] += value
	}
	out := make(map[string]float64)
	for _, what := range slices.SortedFunc(maps.Keys(sum), func(a, b string) int { return cmp.Compare(sum[b], sum[a]) }) {
		out[what] = 100 * float64(sum[what]) / float64(total)
	}
	return out
}

func partOf(sample *profile.Sample, list []part) string {
	for _, p := range list {
		for _, location := range sample.Location {
			for _, line := range location.Line {
				name := line.Function.Name[strings.LastIndexByte(line.Function.Name, '/')+1:]
				if slices.ContainsFunc(p.functions, func(f string) bool {
					return strings.HasPrefix(name, f) || strings.Contains(f, "/") && strings.Contains(line.Function.Name, f)
				}) {
					return p.what
				}
			}
		}
	}
	return "all else"
}
