package doctor_test

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/doctor"
	"github.com/voicerouter/voicerouter/internal/provision"
)

// password is how the users of the cluster authenticate.
const password = "secret"

// cluster runs three servers with the generated configuration, and returns the
// address of one.
func cluster(t *testing.T) string {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	as := func(user string) broker.Credential { return broker.Credential{User: user, Password: password} }
	cfg := broker.Config{
		Port: -1, Router: as(broker.UserRouter), Admin: as(broker.UserAdmin), System: as(broker.UserSystem),
		Backend: broker.Credential{NKey: public}, // so that the servers send a nonce
	}
	cfg.Cluster.Name = "voice"
	ports := freePorts(t, 3)
	for _, p := range ports {
		cfg.Cluster.Routes = append(cfg.Cluster.Routes, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	url := make(chan string, len(ports))
	var starting sync.WaitGroup
	for i, p := range ports {
		cfg.Name, cfg.Cluster.Port = fmt.Sprintf("n%d", i+1), p
		opts := broker.Options{Config: cfg, Dir: t.TempDir()}
		starting.Go(func() { // each waits for the others
			s, err := broker.Start(t.Context(), opts)
			if err != nil {
				t.Errorf("server %s: %v", opts.Config.Name, err)
				return
			}
			t.Cleanup(s.Shutdown)
			url <- s.URL()
		})
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return <-url
}

func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// provisioned waits until the cluster can store, and provisions it.
func provisioned(t *testing.T, url string, opts provision.Options) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.UserInfo(broker.UserAdmin, password), nats.CustomInboxPrefix("_INBOX_admin"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; {
		_, err := provision.Ensure(t.Context(), js, opts)
		if err == nil {
			return js
		}
		if time.Now().After(end) {
			t.Fatalf("provision the cluster: %v", err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func TestPlantedTooFewReplicas(t *testing.T) {
	t.Parallel()
	url := cluster(t)
	js := provisioned(t, url, provision.Options{Storage: provision.Memory})
	user := func(role doctor.Role) doctor.Credential {
		return doctor.Credential{Role: role, Name: "the user " + string(role), Options: []nats.Option{nats.UserInfo(string(role), password)}}
	}
	o := doctor.Options{
		Servers: []string{url}, Credential: user(doctor.RoleRouter), Others: []doctor.Credential{user(doctor.RoleSystem)}, Timeout: 20 * time.Second,
	}
	r := examine(t, o)
	want(t, r, doctor.Wrong, "replicas", "VOICE_IN", "1 of the 3 replicas", "router provision --replicas 3 --update")
	want(t, r, doctor.Wrong, "replicas", "KV_voice_routes", "1 of the 3 replicas")
	want(t, r, doctor.OK, "commit", "stream VOICE_OUT")
	for _, name := range []string{"n1", "n2", "n3"} {
		want(t, r, doctor.Warn, "fleet", "server "+name, "fsync every 2m0s only", "sync_interval: always")
	}
	onlyWrong(t, r, "replicas")

	strong := o // everything is permitted, and nothing happens
	strong.Credential = user(doctor.RoleAdmin)
	strong.Credential.Role = doctor.RoleRouter
	want(t, examine(t, strong), doctor.Wrong, "permissions", "user router", "18 of 18 things that it must not do are permitted")

	o.Provision.Replicas = 1 // somebody has decided so
	r = examine(t, o)
	want(t, r, doctor.Warn, "replicas", "VOICE_IN 1 replicas", "ROUTER_REPLICAS=3")
	onlyWrong(t, r)

	provisioned(t, url, provision.Options{Replicas: 3, Storage: provision.Memory, Update: true})
	o.Provision.Replicas = 0
	for end := time.Now().Add(time.Minute); ; { // until the new replicas have caught up
		if r = doctor.Run(t.Context(), o); count(r, doctor.OK, "replicas") == 4 || time.Now().After(end) {
			break
		}
	}
	want(t, r, doctor.OK, "replicas", "VOICE_OUT 3 replicas, all current")
	want(t, r, doctor.OK, "commit", "stream VOICE_OUT")
	onlyWrong(t, r)
	if n := stored(t, js); n != 0 {
		t.Errorf("want nothing stored by examinations, got %d messages", n)
	}
}

func TestPlantedReplicasOfOneServer(t *testing.T) {
	t.Parallel()
	b := start(t)
	o := sound(t, b)
	o.Provision.Replicas = 3
	r := examine(t, o)
	want(t, r, doctor.Wrong, "replicas", "VOICE_IN", "1 replica, want 3, and the server is in no cluster", "add servers", "--replicas 3")
	want(t, r, doctor.Wrong, "assets", "stream VOICE_IN replicas is 1, want 3", "--update --replicas 3")
	onlyWrong(t, r, "replicas", "assets")
}

func count(r doctor.Report, status doctor.Status, check string) (n int) {
	for _, f := range r.Findings {
		if f.Status == status && f.Check == check {
			n++
		}
	}
	return n
}
