package cluster

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/voicerouter/voicerouter/internal/broker"
)

// Worker is one "router serve" process.
type Worker struct {
	*process
	Name string

	cluster *Cluster
	http    int // port
}

// WorkerOptions are what a worker may have of its own.
type WorkerOptions struct {
	// Router is the path of another binary: of another version, say.
	Router string
	// Env are further variables of its environment.
	Env []string
}

// AddWorker starts one more worker and returns when it is ready.
func (c *Cluster) AddWorker(ctx context.Context, o WorkerOptions) (*Worker, error) {
	w, err := c.newWorker(o)
	if err != nil {
		return nil, err
	}
	return w, w.Start(ctx)
}

func (c *Cluster) newWorker(o WorkerOptions) (*Worker, error) {
	if o.Router == "" {
		o.Router = c.opts.Binaries.Router
	}
	ports, err := c.ports.free(1)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	w := &Worker{Name: fmt.Sprintf("w%d", len(c.workers)+1), cluster: c, http: ports[0]}
	c.workers = append(c.workers, w)
	c.mu.Unlock()
	urls, err := c.urls(w.Name)
	if err != nil {
		return nil, err
	}
	env := append(c.environment(broker.UserRouter, urls, ports[0]), "ROUTER_PROXY_KEYS="+c.keys.proxies)
	env = append(append(env, c.opts.WorkerEnv...), o.Env...)
	w.process = c.newProcess(w.Name, []string{o.Router, "serve"}, env)
	return w, nil
}

// environment is that of a router process which connects as user. What this
// process has of such variables is not passed on.
func (c *Cluster) environment(user, urls string, http int) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ROUTER_") {
			env = append(env, v)
		}
	}
	return append(env, "ROUTER_NATS_URL="+urls, "ROUTER_NATS_NKEY_FILE="+c.keys.seedFile(user),
		"ROUTER_HTTP_ADDR="+address(http))
}

// Start starts the worker (again) and returns when it is ready.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.start(); err != nil {
		return err
	}
	return w.await(ctx, "is ready", w.Ready)
}

// Restart starts a worker that was killed or terminated, without waiting for it.
func (w *Worker) Restart() error {
	w.cluster.note(WorkerKill, w.Name, true, "")
	return w.start()
}

// Kill ends the worker with SIGKILL.
func (w *Worker) Kill() error {
	w.cluster.note(WorkerKill, w.Name, false, "")
	return w.kill()
}

// Terminate has the worker drain and end. Its error says if it ended otherwise
// than with exit code 0.
func (w *Worker) Terminate(ctx context.Context) error {
	w.cluster.note(WorkerEnd, w.Name, false, "")
	return w.end(ctx, syscall.SIGTERM)
}

// Pause stops the worker's process; Resume has it go on.
func (w *Worker) Pause() error {
	w.cluster.note(WorkerPause, w.Name, false, "")
	return w.signal(syscall.SIGSTOP)
}

// Resume ends a Pause.
func (w *Worker) Resume() error {
	w.cluster.note(WorkerPause, w.Name, true, "")
	return w.signal(syscall.SIGCONT)
}

// Running reports whether there is a process.
func (w *Worker) Running() bool { return w.running() }

// PID is the id of the process, 0 if there is none.
func (w *Worker) PID() int { return w.pid() }

// Ready returns nil if /readyz says so, else why not.
func (w *Worker) Ready(ctx context.Context) error { return get(ctx, w.url("/readyz"), nil) }

func (w *Worker) url(path string) string { return "http://" + address(w.http) + path }

// Metrics returns the samples of /metrics, by name and labels as they stand
// there: voicerouter_postponed_total, say.
func (w *Worker) Metrics(ctx context.Context) (map[string]float64, error) {
	samples := map[string]float64{}
	err := get(ctx, w.url("/metrics"), func(r *http.Response) error {
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			name, value, ok := strings.Cut(lines.Text(), " ")
			if !ok || strings.HasPrefix(name, "#") {
				continue
			}
			value, _, _ = strings.Cut(value, " ")
			if n, err := strconv.ParseFloat(value, 64); err == nil {
				samples[name] = n
			}
		}
		return lines.Err()
	})
	return samples, err
}
