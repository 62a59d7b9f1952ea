package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"
)

//go:embed sip/kamailio.cfg.tmpl
var kamailioConf string

//go:embed sip/caller.xml
var callerScript []byte

//go:embed sip/callee.xml
var calleeScript []byte

// Rates of calls that are tried: from the first on in steps until one fails.
const (
	firstRate = 500.0
	rateStep  = 1.2
	rateTime  = 3 * time.Second
	// lateBy is how long after the last call began all must have come to their end.
	lateBy = 2 * time.Second
)

// sip compares the router with a SIP proxy: the highest rate of calls without a
// failure, and what is lost when the proxy is killed at half of it.
func (b bench) sip(ctx context.Context, only []string) error {
	for _, program := range []string{"kamailio", "sipp"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed: apt-get install kamailio sip-tester", program)
		}
	}
	if only == nil || slices.Contains(only, "kamailio") {
		if err := b.sipProxy(ctx); err != nil {
			return err
		}
	}
	if only != nil && !slices.Contains(only, "router") {
		return nil
	}
	best, setUp, err := climb(func(rate float64) (bool, *latency, error) { return b.routerCalls(ctx, rate) })
	if err != nil {
		return err
	}
	if err := b.out.add(result{Kind: "sip", Variant: "router", Calls: best, SetUp: setUp}); err != nil {
		return err
	}
	return b.losses(ctx)
}

func (b bench) sipProxy(ctx context.Context) error {
	best, setUp, err := climb(func(rate float64) (bool, *latency, error) { return b.sipCalls(ctx, rate, false, nil) })
	if err != nil {
		return err
	}
	if err := b.out.add(result{Kind: "sip", Variant: "kamailio", Calls: best, SetUp: setUp}); err != nil {
		return err
	}
	loss := result{Kind: "loss", Variant: "kamailio", Calls: best / 2}
	if _, _, err := b.sipCalls(ctx, best/2, true, &loss); err != nil {
		return err
	}
	return b.out.add(loss)
}

// climb raises the rate until a try fails twice; it returns the last that did not, and
// its set-up times.
func climb(try func(rate float64) (ok bool, setUp *latency, err error)) (best float64, setUp *latency, err error) {
	for rate := firstRate; ; rate *= rateStep {
		ok, l, err := try(rate)
		if ok = ok && prompt(l); err == nil && !ok {
			ok, l, err = try(rate) // once may have been bad luck
			ok = ok && prompt(l)
		}
		if err != nil {
			return best, setUp, err
		}
		if !ok {
			return best, setUp, nil
		}
		best, setUp = rate, l
	}
}

// prompt reports whether calls were set up in time: one that has to wait for longer is
// behind a queue that grows.
func prompt(l *latency) bool { return l != nil && l.P99 <= promptMS }

const promptMS = 500

// routerCalls makes calls of start, ringing, accept and stop at a rate.
func (b bench) routerCalls(ctx context.Context, rate float64) (bool, *latency, error) {
	s, err := newSet(ctx, b.dir, b.programs, variant{name: "calls", storage: storageF, replicas: 1, signatures: "required", script: short})
	if err != nil {
		return false, nil, err
	}
	defer s.close()
	p, err := s.work()
	if err != nil {
		return false, nil, err
	}
	if err := p.awaitURL(ctx, "http://"+p.http+"/readyz"); err != nil {
		return false, nil, err
	}
	g, numbers, err := newGenerator(ctx, s.stage, s.speakers(), s.traffic, int(rate*rateTime.Seconds()))
	if err != nil {
		return false, nil, err
	}
	err = g.atRate(ctx, numbers, rate, lateBy)
	if err != nil && !errors.Is(err, errUnfinished) {
		return false, nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return err == nil && g.refused.Load() == 0, latencyOf(g.set), nil
}

// A message that comes out of order, as over UDP through several processes it may, is
// no failure of a call; one that never comes is.
const (
	behaviour = "-default_behaviors"
	tolerant  = "all,-abortunexp"
)

// sipStage is a proxy and the two sides of its calls.
type sipStage struct {
	dir                   string
	Proxy, Callee, caller int
}

// sipCalls makes SIP calls at a rate. With kill the proxy is killed in the middle and
// started again; what that loses is noted in loss.
func (b bench) sipCalls(ctx context.Context, rate float64, kill bool, loss *result) (bool, *latency, error) {
	s, err := newSIPStage(b.dir)
	if err != nil {
		return false, nil, err
	}
	defer os.RemoveAll(s.dir)
	callee, err := launch(s.dir, "callee", "sipp", nil, "-sf", "callee.xml", "-i", "127.0.0.1", "-p", fmt.Sprint(s.Callee), "-nostdin", "-mp", "16000", behaviour, tolerant)
	if err != nil {
		return false, nil, err
	}
	defer callee.kill()
	proxy, err := s.kamailio()
	if err != nil {
		return false, nil, err
	}
	defer func() { killGroup(proxy) }()
	calls := int(rate * rateTime.Seconds())
	if kill {
		calls *= 2
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	// A call that has not come to its end in time has failed.
	cmd := exec.CommandContext(ctx, "sipp", fmt.Sprint("127.0.0.1:", s.Proxy), "-sf", "caller.xml", "-s", "service", "-i", "127.0.0.1",
		"-p", fmt.Sprint(s.caller), "-r", fmt.Sprintf("%.0f", rate), "-m", fmt.Sprint(calls), "-l", fmt.Sprint(calls), "-nostdin",
		"-recv_timeout", fmt.Sprint((rateTime + lateBy).Milliseconds()), "-trace_stat", "-stf", "stat.csv", "-trace_rtt", "-rtt_freq", "1", "-fd", "1", behaviour, tolerant)
	cmd.Dir = s.dir
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return false, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if kill {
		for range 3 {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			killGroup(proxy)
			if proxy, err = s.kamailio(); err != nil {
				return false, nil, err
			}
		}
	}
	// The exit code only says whether a call failed, which the statistics say better.
	<-ended
	took := time.Since(began)
	failed, err := s.failed()
	if err != nil {
		return false, nil, err
	}
	if loss != nil {
		loss.Made, loss.Lost = calls, &failed
	}
	setUp, err := s.setUp()
	return failed == 0 && took <= rateTime+lateBy+time.Second, setUp, err
}

func newSIPStage(dir string) (*sipStage, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	s := &sipStage{Proxy: ports[0], Callee: ports[1], caller: ports[2]}
	if s.dir, err = os.MkdirTemp(dir, "sip"); err != nil {
		return nil, err
	}
	var conf bytes.Buffer
	if err := template.Must(template.New("kamailio").Parse(kamailioConf)).Execute(&conf, s); err != nil {
		return nil, err
	}
	for name, text := range map[string][]byte{"kamailio.cfg": conf.Bytes(), "caller.xml": callerScript, "callee.xml": calleeScript} {
		if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// kamailio starts the proxy in a process group of its own and waits until it listens.
func (s *sipStage) kamailio() (*exec.Cmd, error) {
	cmd := exec.Command("kamailio", "-f", filepath.Join(s.dir, "kamailio.cfg"), "-DD", "-E", "-m", "256", "-M", "16",
		"-Y", s.dir, "-P", filepath.Join(s.dir, "kamailio.pid"))
	log, err := os.Create(filepath.Join(s.dir, "kamailio.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	hex := fmt.Sprintf(":%04X ", s.Proxy)
	for range 500 {
		if sockets, err := os.ReadFile("/proc/net/udp"); err == nil && strings.Contains(string(sockets), "0100007F"+hex) {
			return cmd, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	killGroup(cmd)
	text, _ := os.ReadFile(log.Name())
	return nil, fmt.Errorf("kamailio does not listen:\n%s", text)
}

// killGroup kills a process with its children, as the kernel does that runs out of
// memory for them.
func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
}

// failed reads the number of failed calls from the last line of SIPp's statistics.
func (s *sipStage) failed() (int, error) {
	data, err := os.ReadFile(filepath.Join(s.dir, "stat.csv"))
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	names, values := strings.Split(lines[0], ";"), strings.Split(lines[len(lines)-1], ";")
	for i, name := range names {
		if name == "FailedCall(C)" && i < len(values) {
			return strconv.Atoi(values[i])
		}
	}
	return 0, errors.New("SIPp's statistics name no failed calls")
}

// setUp reads how long each call took from INVITE to 200.
func (s *sipStage) setUp() (*latency, error) {
	names, err := filepath.Glob(filepath.Join(s.dir, "*_rtt.csv"))
	if err != nil || len(names) == 0 {
		return nil, errors.New("SIPp has written no response times")
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSpace(line), ";")
		if len(fields) < 2 {
			continue
		}
		if ms, err := strconv.ParseFloat(fields[1], 64); err == nil {
			took = append(took, time.Duration(ms*float64(time.Millisecond)))
		}
	}
	return latencyOf(took), nil
}
