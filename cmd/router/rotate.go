package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// rotation is work with keys that may be replaced under it.
type rotation[K any] struct {
	// files returns the key files as they are by now.
	files func() []string
	// load reads them.
	load func() (K, error)
	// run does the work until its context ends.
	run   func(context.Context, K) error
	every time.Duration
	log   *slog.Logger
}

// proven is how long work must have gone well for its keys not to be blamed when
// it fails.
const proven = time.Minute

// keep runs the work until ctx ends or the work fails. When the content of a key
// file has changed, the work is ended, as it is by a signal, and begun anew with
// what the files hold; the process goes on. What cannot be used is reported, and
// the work goes on with the keys it had.
func (r rotation[K]) keep(ctx context.Context) error {
	keys, err := r.load()
	if err != nil {
		return err
	}
	var before *K // the keys that worked, while the present ones are new
	for {
		begin := time.Now()
		next, err := r.turn(ctx, keys)
		switch {
		case ctx.Err() != nil:
			return err
		case next != nil:
			if err != nil {
				return err
			}
			r.log.Info("keys have changed, beginning anew with them")
			old := keys
			before, keys = &old, *next
		case before == nil || err == nil || time.Since(begin) > proven:
			return err
		default:
			r.log.Error("the new keys cannot be used, going on with the old ones", "error", err)
			keys, before = *before, nil
		}
	}
}

// turn runs the work with these keys until it ends or there are others, which it
// returns.
func (r rotation[K]) turn(ctx context.Context, keys K) (*K, error) {
	working, end := context.WithCancel(ctx)
	defer end()
	changed := make(chan *K, 1)
	seen := fingerprint(r.files())
	go func() {
		defer end()
		changed <- r.watch(working, seen)
	}()
	err := r.run(working, keys)
	end()
	return <-changed, err
}

// watch returns the keys once the files have changed and can be read, nil when
// ctx has ended.
func (r rotation[K]) watch(ctx context.Context, seen [sha256.Size]byte) *K {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := fingerprint(r.files())
		if now == seen {
			continue
		}
		keys, err := r.load()
		if err != nil {
			r.log.Error("the new keys cannot be used, going on with the old ones", "error", err)
			seen = now // said once
			continue
		}
		if fingerprint(r.files()) == now { // not in the middle of being written
			return &keys
		}
	}
}

// fingerprint of the names and the content of files.
func fingerprint(files []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, name := range files {
		text, err := os.ReadFile(name)
		fmt.Fprintf(h, "%q %d %v ", name, len(text), err == nil)
		h.Write(text)
	}
	h.Sum(sum[:0])
	return sum
}

// secretFiles returns the key files that a connection or the work with it cannot
// read anew by itself.
func (c *config) secretFiles() []string {
	files := []string{c.NATS.NkeyFile, c.Auth.IssuerFile, c.Auth.XkeyFile}
	if c.ProxyKeys != "" {
		if names, err := filepath.Glob(filepath.Join(escapeGlob(c.ProxyKeys), "*"+jwkEnding)); err == nil {
			files = append(files, names...)
		}
	}
	return files
}

// fleetKeys reads the keys of the fleet, and whether the connection's are usable.
func (c *config) fleetKeys() (fleetKeys, error) {
	keys, err := loadFleetKeys(c.ProxyKeys)
	if err != nil {
		err = fmt.Errorf("ROUTER_PROXY_KEYS: %w", err)
	}
	return keys, errors.Join(append(c.checkNATS(), err)...)
}

// lease is a registry whose collectors can be given back together, before the
// same ones are registered anew.
type lease struct {
	prometheus.Registerer
	held []prometheus.Collector
}

// Register implements [prometheus.Registerer].
func (l *lease) Register(c prometheus.Collector) error {
	err := l.Registerer.Register(c)
	if err == nil {
		l.held = append(l.held, c)
	}
	return err
}

// MustRegister implements [prometheus.Registerer].
func (l *lease) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := l.Register(c); err != nil {
			panic(err) // as the registry itself does
		}
	}
}

// giveBack removes what was registered.
func (l *lease) giveBack() {
	for _, c := range l.held {
		l.Unregister(c)
	}
}
