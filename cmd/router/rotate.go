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
type rotation struct {
	// files returns the key files as they are by now.
	files func() []string
	// check says whether the work could be done with what they hold.
	check func() error
	// run does the work until its context ends.
	run   func(context.Context) error
	every time.Duration
	log   *slog.Logger
}

// keep runs the work until ctx ends or the work fails. When the content of a key
// file has changed and is usable, the work is ended, as it is by a signal, and
// begun anew: the process goes on. What cannot be used is reported, and changes
// nothing.
func (r rotation) keep(ctx context.Context) error {
	for {
		seen := fingerprint(r.files())
		working, end := context.WithCancel(ctx)
		changed := make(chan bool, 1)
		go func() {
			defer end()
			changed <- r.watch(working, seen)
		}()
		err := r.run(working)
		end()
		if again := <-changed; !again || err != nil || ctx.Err() != nil {
			return err
		}
		r.log.Info("keys have changed, beginning anew with them")
	}
}

// watch returns true when the files have changed and can be used, false when ctx
// has ended.
func (r rotation) watch(ctx context.Context, seen [sha256.Size]byte) bool {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		now := fingerprint(r.files())
		if now == seen {
			continue
		}
		if err := r.check(); err != nil {
			r.log.Error("keys have changed and cannot be used, going on with the old ones", "error", err)
			seen = now // said once
			continue
		}
		if fingerprint(r.files()) == now { // not in the middle of being written
			return true
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

// checkSecrets reports whether the key files can be used.
func (c *config) checkSecrets() error {
	_, err := loadFleetKeys(c.ProxyKeys)
	return errors.Join(append(c.checkNATS(), err)...)
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
