package doctor_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"sync"
	"testing"

	"github.com/voicerouter/voicerouter/internal/doctor"
)

// TestPlantedOldServer: a server that says in INFO and in its answers that it is an
// older one.
func TestPlantedOldServer(t *testing.T) {
	t.Parallel()
	b := start(t)
	o := sound(t, b)
	o.Servers = []string{older(t, b.URL())}
	r := examine(t, o)
	want(t, r, doctor.Wrong, "server", "nats-server 2.11.9, JetStream API level 1", "too old", "install nats-server 2.14.0 or later on every server")
	want(t, r, doctor.Wrong, "jetstream", "features JetStream API level 1", "install nats-server 2.14.0 or later")
	want(t, r, doctor.Wrong, "fleet", "nats-server 2.11.9 is too old", "install nats-server 2.14.0 or later")
	onlyWrong(t, r, "server", "jetstream", "fleet")
}

// older runs a proxy in front of a server that changes what the server says of
// itself, byte by byte, so that no length changes.
func older(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); open.Wait() })
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			backend, err := net.Dial("tcp", u.Host)
			if err != nil {
				_ = client.Close()
				continue
			}
			end := func() { _, _ = client.Close(), backend.Close() }
			open.Go(func() { defer end(); relay(backend, client, func(b []byte) []byte { return b }) })
			open.Go(func() { defer end(); relay(client, backend, age) })
		}
	})
	return fmt.Sprintf("nats://%s", listener.Addr())
}

var (
	version = regexp.MustCompile(`"version":"\d\.\d\d\.\d"`)
	level   = regexp.MustCompile(`"(api_lvl|level)":\d`)
)

func age(b []byte) []byte {
	b = version.ReplaceAll(b, []byte(`"version":"2.11.9"`))
	return level.ReplaceAll(b, []byte(`"$1":1`))
}

// relay copies in chunks; an answer of a server is one chunk, as a rule.
func relay(to, from net.Conn, change func([]byte) []byte) {
	buffer := make([]byte, 256<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(change(bytes.Clone(buffer[:n]))); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
