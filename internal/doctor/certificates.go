package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// shownCertificate is what a server showed when it was connected to as host.
type shownCertificate struct {
	host  string
	chain []*x509.Certificate
}

// checkCertificates looks at the files of the environment.
func checkCertificates(_ context.Context, e *exam) {
	if e.TLS.CA == "" && e.TLS.Cert == "" {
		e.add(OK, "ROUTER_NATS_TLS_*", "none are named: the system's authorities count, and no client certificate is shown", "")
	}
	if e.TLS.CA != "" {
		const about = "ROUTER_NATS_TLS_CA"
		certs, err := readCertificates(e.TLS.CA)
		if err != nil {
			e.add(Wrong, about, err.Error(), "name a PEM file with the certificate of the authority that issued the server's")
		}
		for _, c := range certs {
			e.judgeAge(about, c, "get the authority's new certificate and replace "+e.TLS.CA)
		}
	}
	if e.TLS.Cert != "" {
		const about = "ROUTER_NATS_TLS_CERT"
		pair, err := tls.LoadX509KeyPair(e.TLS.Cert, e.TLS.Key)
		if err != nil {
			e.add(Wrong, about, fmt.Sprintf("%s and %s: %v", e.TLS.Cert, e.TLS.Key, err), "name a certificate and the key that belongs to it, both PEM")
			return
		}
		e.judgeAge(about, pair.Leaf, "issue a new client certificate into "+e.TLS.Cert+"; the process reads it with the next connection")
	}
}

func readCertificates(name string) (certs []*x509.Certificate, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, errors.New("the file cannot be read: " + name)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in " + name)
	}
	return certs, nil
}

// judgeAge reports the validity of a certificate.
func (e *exam) judgeAge(about string, c *x509.Certificate, renew string) {
	status, seen := ageOf(c, e.Now())
	if status == OK {
		renew = ""
	}
	e.add(status, about, seen, renew)
}

func ageOf(c *x509.Certificate, now time.Time) (Status, string) {
	name := c.Subject.CommonName
	if name == "" && len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	end := c.NotAfter.UTC().Format(time.RFC3339)
	switch left := c.NotAfter.Sub(now); {
	case left < 0:
		return Wrong, fmt.Sprintf("certificate %q has expired at %s, %s ago", name, end, inDays(-left))
	case now.Before(c.NotBefore):
		return Wrong, fmt.Sprintf("certificate %q is not valid before %s", name, c.NotBefore.UTC().Format(time.RFC3339))
	case left < soon:
		return Warn, fmt.Sprintf("certificate %q expires at %s, in %s", name, end, inDays(left))
	default:
		return OK, fmt.Sprintf("certificate %q is valid until %s", name, end)
	}
}

func inDays(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// checkTLS judges the certificates that the servers showed.
func checkTLS(_ context.Context, e *exam) {
	if len(e.shown) == 0 {
		e.add(Skipped, "server certificate", "no server has shown one", "")
		return
	}
	roots, err := e.roots()
	if err != nil {
		e.add(Skipped, "server certificate", "the authorities cannot be read: see the check certificates", "")
		return
	}
	for _, s := range e.shown {
		leaf := s.chain[0]
		status, seen := ageOf(leaf, e.Now())
		if status == Wrong {
			e.add(status, s.host, seen, "issue a new certificate for "+s.host+", replace the file that tls.cert_file of the server names, and run \"nats-server --signal reload\"")
			continue
		}
		between := x509.NewCertPool()
		for _, c := range s.chain[1:] {
			between.AddCert(c)
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: s.host, CurrentTime: e.Now()})
		switch {
		case err != nil:
			e.add(Wrong, s.host, err.Error(), mendTrust(err, s.host))
		case status == Warn:
			e.add(status, s.host, seen, "issue a new certificate for "+s.host+" in time, and run \"nats-server --signal reload\"")
		default:
			e.add(OK, s.host, seen, "")
		}
	}
}

func (e *exam) roots() (*x509.CertPool, error) {
	if e.TLS.CA == "" {
		return x509.SystemCertPool()
	}
	certs, err := readCertificates(e.TLS.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

func mendTrust(err error, host string) string {
	if _, named := errors.AsType[x509.HostnameError](err); named {
		return "use one of the certificate's names in ROUTER_NATS_URL, or issue a certificate for " + host
	}
	return "set ROUTER_NATS_TLS_CA to the certificate of the authority that issued the server's"
}
