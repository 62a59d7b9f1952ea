package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/provision"
)

// programs are the binaries under measurement, built from this tree and from the
// versions in go.mod.
type programs struct{ server, router, self string }

func build(ctx context.Context, dir string) (programs, error) {
	self, err := os.Executable()
	p := programs{server: filepath.Join(dir, "nats-server"), router: filepath.Join(dir, "router"), self: self}
	if err != nil {
		return p, err
	}
	for out, pkg := range map[string]string{
		p.server: "github.com/nats-io/nats-server/v2", p.router: "github.com/voicerouter/voicerouter/cmd/router",
	} {
		// From the root of the repository, whose go.mod decides on all versions.
		cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
		cmd.Dir = root
		if text, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("build %s: %w\n%s", pkg, err, text)
		}
	}
	return p, nil
}

// root is the repository, seen from the directory of this module.
const root = ".."

// stage is a set of fresh servers, provisioned, with the connections of those who
// measure.
type stage struct {
	programs programs
	dir      string
	url      string
	servers  []*process
	// admin may do everything in the account ROUTER; clients is the connection of
	// all identities together, in the account VOICE.
	admin, clients *nats.Conn
	js             jetstream.JetStream
}

const (
	password = "bench"
	storageF = provision.File
	storageM = provision.Memory
)

// newStage starts 1 or 3 servers in a new directory under dir and provisions
// them. Anybody may speak as any identity, so that one connection drives all of
// them; what the workers do does not depend on that.
func newStage(ctx context.Context, dir string, programs programs, v variant) (_ *stage, err error) {
	s := &stage{programs: programs}
	if s.dir, err = os.MkdirTemp(dir, "stage"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.startServers(v.replicas, v.profile); err != nil {
		return nil, err
	}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	_, err = provision.Ensure(ctx, s.js, provision.Options{Storage: v.storage, Replicas: v.replicas})
	return s, err
}

func (s *stage) startServers(n int, profile bool) error {
	ports, err := freePorts(2*n + 1)
	if err != nil {
		return err
	}
	clients, routes := ports[:n], ports[n:2*n]
	var urls []string
	for i := range n {
		dir := filepath.Join(s.dir, fmt.Sprint("server", i))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		cfg := broker.Config{
			Name: fmt.Sprint("bench", i), Port: clients[i], StoreDir: filepath.Join(dir, "jetstream"), Insecure: true,
			Router: broker.Credential{User: broker.UserRouter, Password: password},
			Admin:  broker.Credential{User: broker.UserAdmin, Password: password},
		}
		text, err := cfg.Render()
		if err != nil {
			return err
		}
		if n > 1 {
			text = append(text, cluster(routes, i)...)
		}
		if profile {
			text = fmt.Appendf(text, "prof_port: %d\n", ports[2*n])
		}
		conf := filepath.Join(dir, "nats-server.conf")
		if err := os.WriteFile(conf, text, 0o600); err != nil {
			return err
		}
		p, err := launch(s.dir, fmt.Sprint("server", i), s.programs.server, nil, "-c", conf)
		if err != nil {
			return err
		}
		p.http = fmt.Sprint("127.0.0.1:", ports[2*n])
		s.servers = append(s.servers, p)
		urls = append(urls, fmt.Sprint("nats://127.0.0.1:", clients[i]))
	}
	s.url = strings.Join(urls, ",")
	return nil
}

func cluster(ports []int, i int) string {
	var routes []string
	for _, p := range ports {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	return fmt.Sprintf("cluster {\n  name: bench\n  host: 127.0.0.1\n  port: %d\n  routes: [%s]\n}\n", ports[i], strings.Join(routes, ", "))
}

// connect waits until the servers answer as one.
func (s *stage) connect(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	patient := []nats.Option{nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond)}
	if s.clients, err = nats.Connect(s.url, append(patient, nats.Name("identities"))...); err != nil {
		return err
	}
	s.admin, err = nats.Connect(s.url, append(patient, nats.Name("bench"), nats.UserInfo(broker.UserAdmin, password))...)
	if err != nil {
		return err
	}
	if s.js, err = jetstream.New(s.admin, jetstream.WithPublishAsyncMaxPending(4000), jetstream.WithDefaultTimeout(20*time.Second)); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		_, err := s.js.AccountInfo(asking)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return s.servers[0].fail(errors.Join(errors.New("JetStream not ready"), err))
		case <-tick.C:
		}
	}
}

// close ends the servers and removes what they stored.
func (s *stage) close() {
	for _, nc := range []*nats.Conn{s.clients, s.admin} {
		if nc != nil {
			nc.Close()
		}
	}
	for _, p := range s.servers {
		p.kill()
	}
	_ = os.RemoveAll(s.dir)
}

func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // only at the end, so that all differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
