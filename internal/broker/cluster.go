package broker

import (
	"errors"
	"fmt"
	"net/url"
)

// Cluster is how a server and its peers find each other. Streams of three
// replicas need three servers with the same accounts: configurations that are
// generated from the same keys and differ in Config.Name and addresses only.
//
// Whoever can open a route is inside every account. Beyond a loopback address
// routes therefore need TLS with certificates on both sides, or the word that
// something else protects them.
type Cluster struct {
	Name string // of the cluster, the same on every server; "" is no cluster
	// Host and Port are the address for routes; the host is by default that of
	// clients, the port 6222.
	Host string
	Port int
	// Routes are the addresses of the servers, "nats://host:6222"; a server's own
	// among them does no harm.
	Routes []string
	// Advertise is the address, "host:port", under which the other servers tell
	// each other of this one; "" is the one it listens on.
	Advertise string
	// NoAdvertise keeps clients from being told of the other servers: they know
	// those of their own configuration only.
	NoAdvertise bool
	// TLS secures routes; it needs a CAFile, because both sides present their
	// certificate. NoTLS says that the network between the servers is protected in
	// another way.
	TLS   TLS
	NoTLS bool
}

func (c Cluster) withDefaults(host string) Cluster {
	if c.Host == "" {
		c.Host = host
	}
	if c.Port == 0 {
		c.Port = 6222
	}
	return c
}

// checkCluster reports what is wrong with the cluster.
func (c Config) checkCluster() (errs []error) {
	k := c.Cluster
	if k.Name == "" {
		if len(k.Routes) > 0 || k.Port != 0 {
			return []error{errors.New("routes of a cluster without a name")}
		}
		return nil
	}
	if c.Name == "" {
		errs = append(errs, fmt.Errorf("a server of the cluster %q needs a name of its own", k.Name))
	}
	if k.Port < -1 || k.Port > 65535 {
		errs = append(errs, fmt.Errorf("cluster port %d: want -1 (any) to 65535", k.Port))
	}
	if err := k.TLS.validate(); err != nil {
		errs = append(errs, fmt.Errorf("cluster: %w", err))
	}
	switch {
	case k.TLS.HandshakeFirst:
		errs = append(errs, errors.New("cluster: routes know no handshake first"))
	case k.TLS.CertFile != "" && k.TLS.CAFile == "":
		errs = append(errs, errors.New("cluster: a certificate for routes needs the CA that those of the other servers are checked against"))
	case k.TLS.CertFile == "" && !k.NoTLS && !loopback(k.withDefaults(c.Host).Host):
		errs = append(errs, errors.New("cluster without TLS: whoever reaches its port is inside every account. Name certificates, or say that the network protects it"))
	}
	for _, route := range k.Routes {
		if u, err := url.Parse(route); err != nil || u.Port() == "" || u.Hostname() == "" || !printable(route) {
			errs = append(errs, fmt.Errorf("route %.80q: want nats://host:port", redactURL(route)))
		}
	}
	return errs
}

// redactURL hides the password of an address that is quoted in an error.
func redactURL(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return "(unreadable)"
}
