package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Link is the way from somebody who connects to a server: From is a worker, a
// server or [Endpoints], To a server. At most one fault is on a link at a time.
type Link struct {
	From, To string

	cluster *Cluster
	proxy   *toxiproxy.Proxy
	mu      sync.Mutex
	fault   Kind // "" if it is sound
}

// Endpoints is where the links of the clients begin.
const Endpoints = "endpoints"

// newLink opens a way to one of the ports of a server.
func (c *Cluster) newLink(from, to string, port int) (*Link, error) {
	listen, err := c.ports.free(1)
	if err != nil {
		return nil, err
	}
	l := &Link{From: from, To: to, cluster: c, proxy: toxiproxy.NewProxy(c.toxiproxy, from+"-"+to, address(listen[0]), address(port))}
	if err := l.proxy.Start(); err != nil {
		return nil, fmt.Errorf("cluster: link %s: %w", l.Name(), err)
	}
	c.mu.Lock()
	c.links = append(c.links, l)
	c.mu.Unlock()
	return l, nil
}

func newToxiproxy() *toxiproxy.ApiServer {
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
}

// Name is "from-to".
func (l *Link) Name() string { return l.From + "-" + l.To }

// address is where to connect instead of to the server.
func (l *Link) address() string { return l.proxy.Listen }

// ErrBroken is returned for a fault on a link that has one.
var ErrBroken = errors.New("link has a fault already")

// Cut lets nothing through any more; connections stay open and silent, new ones
// are taken and silent.
func (l *Link) Cut() error { return l.add(LinkCut, "timeout", `{"timeout":0}`, "") }

// Delay holds everything back for d, and up to jitter more or less.
func (l *Link) Delay(d, jitter time.Duration) error {
	return l.add(LinkDelayed, "latency", fmt.Sprintf(`{"latency":%d,"jitter":%d}`, d.Milliseconds(), jitter.Milliseconds()),
		fmt.Sprintf("%s +/- %s", d, jitter))
}

// Reset closes every connection as soon as something passes through it, those
// that are made meanwhile included.
func (l *Link) Reset() error { return l.add(LinkReset, "reset_peer", `{"timeout":0}`, "") }

// add puts a toxic on both directions.
func (l *Link) add(kind Kind, toxic, attributes, detail string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != "" {
		return fmt.Errorf("cluster: link %s: %w: %s", l.Name(), ErrBroken, l.fault)
	}
	l.fault = kind
	l.cluster.note(kind, l.Name(), false, detail)
	for _, stream := range []string{"upstream", "downstream"} {
		conf := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":%s}`, stream, toxic, stream, attributes)
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(conf)); err != nil {
			return fmt.Errorf("cluster: link %s: %w", l.Name(), err)
		}
	}
	return nil
}

// Refuse closes all connections and refuses new ones.
func (l *Link) Refuse() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != "" {
		return fmt.Errorf("cluster: link %s: %w: %s", l.Name(), ErrBroken, l.fault)
	}
	l.fault = LinkRefused
	l.cluster.note(LinkRefused, l.Name(), false, "")
	l.proxy.Stop()
	return nil
}

// Heal ends the fault of the link, if there is one.
func (l *Link) Heal(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == "" {
		return nil
	}
	if l.fault == LinkRefused {
		if err := l.proxy.Start(); err != nil {
			return fmt.Errorf("cluster: link %s: %w", l.Name(), err)
		}
	} else {
		l.proxy.Toxics.ResetToxics(ctx)
	}
	l.cluster.note(l.fault, l.Name(), true, "")
	l.fault = ""
	return nil
}

// Links returns the links for which keep returns true, all if it is nil; none in
// a cluster without links.
func (c *Cluster) Links(keep func(*Link) bool) []*Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*Link
	for _, l := range c.links {
		if keep == nil || keep(l) {
			found = append(found, l)
		}
	}
	return found
}

// RoutesOf selects the routes between a server and all others, in both
// directions.
func (c *Cluster) RoutesOf(server string) []*Link {
	return c.Links(func(l *Link) bool {
		return (l.From == server || l.To == server) && c.server(l.From) != nil
	})
}
