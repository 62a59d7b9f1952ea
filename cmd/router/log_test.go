package main

import (
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestLogLevelAtRunTime: a signal, or the command that sends it, makes a running
// worker log what debugging needs, and another one ends that.
func TestLogLevelAtRunTime(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Users: []string{"1112223334"}})
	p := startServe(t, "ROUTER_NATS_URL="+b.URL(), "ROUTER_NATS_NKEY_FILE="+b.SeedFile(t, broker.UserRouter), "ROUTER_LOG_FORMAT=json")
	base := "http://" + p.await(t, `"msg":"serving HTTP","address":"([^"]+)"`)[1]
	awaitStatusOK(t, base+"/readyz")
	nc := b.Identity(t, "1112223334")
	rubbish := func(id string) {
		t.Helper()
		m := nats.NewMsg(subjects.Voice("1112223334", "start"))
		m.Header.Set(nats.MsgIdHdr, id)
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	pid := strconv.Itoa(p.cmd.Process.Pid)
	mustSucceed(t, "log", "debug", "--pid", pid)
	p.await(t, `"msg":"log level changed","level":"DEBUG"`)
	rubbish("1")
	p.await(t, `"level":"DEBUG","msg":"message refused","code":"malformed"`)

	if err := p.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	p.await(t, `"msg":"log level changed","level":"INFO"`)
	rubbish("2")
	awaitMetric(t, base, `voicerouter_rejected_total{code="malformed"} 2`)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != exitOK {
		t.Errorf("want exit 0, got %d:\n%s", code, p.log.String())
	}
	if _, since, _ := strings.Cut(p.log.String(), `"level":"INFO","signal"`); strings.Contains(since, "message refused") {
		t.Errorf("want no refusal logged after the level was reset, got:\n%s", since)
	}
}

// awaitMetric asks until a line is among the metrics.
func awaitMetric(t *testing.T, base, line string) {
	t.Helper()
	eventually(t, line, func() bool {
		code, body := get(t, base+"/metrics")
		return code == http.StatusOK && strings.Contains(body, line+"\n")
	})
}

func TestLogCommandNeedsAProcess(t *testing.T) {
	t.Parallel()
	wantFailure(t, cli(t, "log", "debug"), exitUsage, "--pid")
	wantFailure(t, cli(t, "log", "reset", "--pid", "-1"), exitUsage, "--pid")
	wantFailure(t, cli(t, "log", "reset", "--pid", "2147483646"), exitFailure, "process 2147483646")
}
