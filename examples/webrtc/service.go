package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/voice"
)

// The conversation of this example.
const (
	operator = "1112223334"
	customer = "1111111111"
	proxy    = "proxy"
	cid      = "webrtc-example"
)

// service is a broker and a router in this process.
type service struct {
	dir    string
	broker *broker.Server
	keys   map[string]keyring
	admin  *nats.Conn
	worker *nats.Conn
	cancel context.CancelFunc
	done   chan error
}

// keyring holds what one identity signs with and connects with.
type keyring struct {
	sign  identity.PrivateKey
	login nkeys.KeyPair
}

func newKeyring() (keyring, error) {
	sign, err := identity.GenerateKey("1")
	if err != nil {
		return keyring{}, err
	}
	login, err := nkeys.CreateUser()
	return keyring{sign, login}, err
}

func (k keyring) nkey() string {
	public, err := k.login.PublicKey()
	if err != nil {
		return "" // not of a pair that was generated here
	}
	return public
}

func (k keyring) option() nats.Option { return nats.Nkey(k.nkey(), k.login.Sign) }

// startService runs a broker with two users and a proxy, and a router that acts
// for the proxy.
func startService(ctx context.Context) (s *service, err error) {
	s = &service{keys: map[string]keyring{}, done: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "webrtc-example-"); err != nil {
		return s, err
	}
	for _, name := range []string{operator, customer, proxy, broker.UserRouter, broker.UserAdmin} {
		if s.keys[name], err = newKeyring(); err != nil {
			return s, err
		}
	}
	if err := s.startBroker(ctx); err != nil {
		return s, err
	}
	return s, s.startRouter()
}

func (s *service) startBroker(ctx context.Context) (err error) {
	config := broker.Config{
		Port:   -1,
		Router: broker.Credential{NKey: s.keys[broker.UserRouter].nkey()},
		Admin:  broker.Credential{NKey: s.keys[broker.UserAdmin].nkey()},
	}
	for _, name := range []string{operator, customer} {
		config.Identities = append(config.Identities, broker.Endpoint{
			ID: identity.MustID(name), Role: identity.RoleUser, NKey: s.keys[name].nkey(),
		})
	}
	if s.broker, err = broker.Start(ctx, broker.Options{Config: config, Dir: s.dir}); err != nil {
		return err
	}
	if s.admin, err = s.connect(broker.UserAdmin); err != nil {
		return err
	}
	js, err := jetstream.New(s.admin)
	if err != nil {
		return err
	}
	if _, err := provision.Ensure(ctx, js, provision.Options{Storage: provision.Memory}); err != nil {
		return err
	}
	return s.createRoute(ctx, js)
}

// createRoute says who talks to whom on the conversation.
func (s *service) createRoute(ctx context.Context, js jetstream.JetStream) error {
	route, err := call.Route{
		Proxy: identity.MustID(proxy), Operator: identity.MustID(operator), Customer: identity.MustID(customer),
		OperatorName: "Bob", CustomerName: "Ada",
	}.Encode()
	if err != nil {
		return err
	}
	routes, err := js.KeyValue(ctx, subjects.BucketRoutes)
	if err != nil {
		return err
	}
	_, err = routes.Put(ctx, cid, route)
	return err
}

func (s *service) startRouter() (err error) {
	if s.worker, err = s.connect(broker.UserRouter); err != nil {
		return err
	}
	directory := identity.Static{}
	for _, name := range []string{operator, customer, proxy} {
		record := identity.Record{Role: identity.RoleUser, Keys: []identity.PublicKey{s.keys[name].sign.Public()}}
		if name == proxy {
			record.Role = identity.RoleApp
		}
		directory[identity.MustID(name)] = record
	}
	worker, err := router.New(router.Options{
		Conn:      s.worker,
		Proxies:   map[identity.ID]identity.PrivateKey{identity.MustID(proxy): s.keys[proxy].sign},
		Directory: directory,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.done <- worker.Run(ctx) }()
	return nil
}

func (s *service) connect(user string) (*nats.Conn, error) {
	return s.broker.Connect(s.keys[user].option(), nats.CustomInboxPrefix(subjects.InboxPrefix(user)))
}

// client returns an SDK client of one of the users, which believes the proxy's
// signature alone.
func (s *service) client(ctx context.Context, name string) (*voice.Client, error) {
	trusted := []identity.PublicKey{s.keys[proxy].sign.Public()}
	return voice.Connect(ctx, voice.Options{
		URL: s.broker.URL(), SelfID: name, SigningKey: s.keys[name].sign,
		NATSOptions: []nats.Option{s.keys[name].option()},
		Trusted:     func(identity.ID) []identity.PublicKey { return trusted },
	})
}

// stop ends the router, then the broker.
func (s *service) stop() error {
	var err error
	if s.cancel != nil {
		s.cancel()
		err = <-s.done
	}
	for _, nc := range []*nats.Conn{s.worker, s.admin} {
		if nc != nil {
			nc.Close()
		}
	}
	if s.broker != nil {
		s.broker.Shutdown()
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	if err != nil {
		return fmt.Errorf("stop the service: %w", err)
	}
	return nil
}
