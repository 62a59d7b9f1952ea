package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program under measurement, in a process of its own.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	http string // address of its metrics, "" if it has none
	done chan struct{}
}

// launch starts a program; its output goes to a file in dir.
func launch(dir, name, program string, env []string, args ...string) (*process, error) {
	out, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	// A benchmark that is interrupted must not leave servers behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, log: out.Name(), done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop ends the process: gracefully, and if that takes too long, not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.kill()
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// fail describes an error of the process with the end of its log.
func (p *process) fail(err error) error {
	data, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s: %w; its log ends with:\n%s", p.name, err, data[max(0, len(data)-2000):])
}

// awaitURL waits until an HTTP request to the process succeeds.
func (p *process) awaitURL(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.done:
			return p.fail(errors.New("ended before it was ready"))
		case <-ctx.Done():
			return p.fail(errors.New("not ready"))
		case <-tick.C:
		}
	}
}

// cpu returns the processor time that a process has used, user and system.
func cpu(processes ...*process) (time.Duration, error) {
	var total time.Duration
	for _, p := range processes {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			return 0, p.fail(err)
		}
		// The second field, the name, may contain spaces; utime and stime are the
		// 12th and 13th behind it (proc_pid_stat(5)).
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) < 13 {
			return 0, fmt.Errorf("%s: /proc stat is too short", p.name)
		}
		for _, f := range fields[11:13] {
			ticks, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, err
			}
			total += time.Duration(ticks) * (time.Second / clockTicks)
		}
	}
	return total, nil
}

// clockTicks is USER_HZ, which Linux shows as 100 everywhere.
const clockTicks = 100

// memory returns a figure of /proc/<pid>/status in bytes: VmHWM (peak) or VmRSS.
func memory(figure string, processes ...*process) (int64, error) {
	var total int64
	for _, p := range processes {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err != nil {
			return 0, p.fail(err)
		}
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, figure+":"); ok {
				kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
				if err != nil {
					return 0, err
				}
				total += kb << 10
			}
		}
	}
	return total, nil
}

// metric reads one unlabelled metric, or the sum over the labels that contain
// label, from the /metrics of a process.
func (p *process) metric(name, label string) (float64, error) {
	resp, err := http.Get("http://" + p.http + "/metrics")
	if err != nil {
		return 0, p.fail(err)
	}
	defer resp.Body.Close()
	return sumMetric(resp.Body, name, label)
}

func sumMetric(r io.Reader, name, label string) (total float64, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	found := false
	for lines.Scan() {
		line := lines.Text()
		series, value, ok := cutLast(line, " ")
		if !ok || series != name && !strings.HasPrefix(series, name+"{") || !strings.Contains(series, label) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		total, found = total+v, true
	}
	if !found && label == "" {
		return 0, fmt.Errorf("metric %s is not there", name)
	}
	return total, lines.Err()
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
