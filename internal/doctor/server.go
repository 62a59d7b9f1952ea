package doctor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/provision"
)

// serverInfo is what a server says to everybody who connects, before it asks who
// that is.
type serverInfo struct {
	Name         string   `json:"server_name"`
	Version      string   `json:"version"`
	Level        int      `json:"api_lvl"`
	JetStream    bool     `json:"jetstream"`
	Headers      bool     `json:"headers"`
	MaxPayload   int64    `json:"max_payload"`
	AuthRequired bool     `json:"auth_required"`
	TLSRequired  bool     `json:"tls_required"`
	TLSAvailable bool     `json:"tls_available"`
	TLSVerify    bool     `json:"tls_verify"`
	Nonce        string   `json:"nonce"`
	Cluster      string   `json:"cluster"`
	ConnectURLs  []string `json:"connect_urls"`
}

// needPayload is more than the largest message of the router, an answer of the
// sync service.
const needPayload = 1 << 20

// checkServers talks to each server itself: what goes wrong there a client
// library reports for all servers as one.
func checkServers(ctx context.Context, e *exam) {
	for _, server := range e.Servers {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Host == "" {
			e.add(Wrong, server, "this is no URL of a server", "write nats://HOST:4222 into ROUTER_NATS_URL")
			continue
		}
		about := u.Scheme + "://" + u.Host // never a password
		if u.Scheme == "ws" || u.Scheme == "wss" {
			e.reachable = true
			e.add(Skipped, about, "a WebSocket: looked at with the connection only", "")
			continue
		}
		info, err := e.greet(ctx, u)
		if err != nil {
			seen, mend := explainDial(err, u)
			e.add(Wrong, about, seen, mend)
			continue
		}
		if !e.reachable {
			e.server = info
		}
		e.reachable = true
		e.judgeServer(about, info)
	}
}

func (e *exam) judgeServer(about string, info serverInfo) {
	seen := fmt.Sprintf("nats-server %s, JetStream API level %d", info.Version, info.Level)
	if info.Cluster != "" {
		seen += fmt.Sprintf(", cluster %s", info.Cluster)
	}
	secured := ", without TLS"
	if info.TLSRequired || info.TLSAvailable || e.TLS.First {
		secured = ", with TLS"
	}
	seen += secured
	switch {
	case provision.CheckLevel(info.Level, info.Version) != nil:
		e.add(Wrong, about, seen+": too old, atomic batches and schedules are missing or not safe",
			"install nats-server "+provision.NeedVersion+" or later on every server of the cluster")
	case !info.JetStream:
		e.add(Wrong, about, seen+": JetStream is off", "add the block jetstream { store_dir: ... } to the server's configuration; \"router provision --server-config\" prints one")
	case !info.Headers:
		e.add(Wrong, about, seen+": headers are off", "remove no_header_support from the server's configuration")
	case info.MaxPayload < needPayload:
		e.add(Wrong, about, fmt.Sprintf("%s: messages of more than %d bytes are refused, the router's are up to %d", seen, info.MaxPayload, needPayload),
			fmt.Sprintf("set max_payload: %d in the server's configuration", needPayload))
	default:
		e.add(OK, about, seen, "")
	}
}

// errNoINFO is returned for a server that says nothing, or something else.
var errNoINFO = errors.New("this does not speak the NATS protocol")

// greet connects and reads the server's INFO, and keeps what certificate it
// shows.
func (e *exam) greet(ctx context.Context, u *url.URL) (info serverInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, min(e.Timeout, 5*time.Second))
	defer cancel()
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = "4222"
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return info, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if e.TLS.First {
		if conn, err = e.handshake(ctx, conn, host); err != nil {
			return info, err
		}
	}
	if info, err = readINFO(conn); err != nil || e.TLS.First {
		return info, err
	}
	if info.TLSRequired || info.TLSAvailable && (u.Scheme == "tls" || e.TLS.CA != "" || e.TLS.Cert != "") {
		// What is wrong with the certificate is reported of the certificate.
		_, err := e.handshake(ctx, conn, host)
		return info, err
	}
	return info, nil
}

func readINFO(conn io.Reader) (info serverInfo, err error) {
	line, err := bufio.NewReaderSize(io.LimitReader(conn, 64<<10), 64<<10).ReadSlice('\n')
	text, ok := bytes.CutPrefix(line, []byte("INFO "))
	if !ok || err != nil {
		return info, fmt.Errorf("%w: %w", errNoINFO, errors.Join(err))
	}
	if err := json.Unmarshal(bytes.TrimSpace(text), &info); err != nil {
		return info, errNoINFO
	}
	return info, nil
}

// handshake completes a TLS handshake whatever the certificate is, and keeps the
// certificate for checkTLS.
func (e *exam) handshake(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // checkTLS verifies; nothing is said on this connection
	if e.TLS.Cert != "" {
		if pair, err := tls.LoadX509KeyPair(e.TLS.Cert, e.TLS.Key); err == nil { // else checkCertificates reports it
			config.Certificates = []tls.Certificate{pair}
		}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errHandshake{err}
	}
	e.shown = append(e.shown, shownCertificate{host: host, chain: secure.ConnectionState().PeerCertificates})
	return secure, nil
}

// errHandshake is a TLS handshake that did not come about.
type errHandshake struct{ error }

func (e errHandshake) Unwrap() error { return e.error }

// explainDial says why a server could not be reached, and what to look at.
func explainDial(err error, u *url.URL) (seen, mend string) {
	var lookup *net.DNSError
	var handshake errHandshake
	switch {
	case errors.As(err, &lookup):
		return fmt.Sprintf("the name %s cannot be resolved: %s", lookup.Name, lookup.Err),
			"correct ROUTER_NATS_URL, or the name service of this machine (in Kubernetes: SERVICE.NAMESPACE.svc)"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nothing listens there", "start the server, or correct host and port in ROUTER_NATS_URL"
	case errors.As(err, &handshake):
		return "no TLS handshake: " + handshake.Error(),
			"if the server has no handshake_first, unset ROUTER_NATS_TLS_FIRST; if it wants client certificates, set ROUTER_NATS_TLS_CERT and ROUTER_NATS_TLS_KEY"
	case errors.Is(err, errNoINFO):
		return "the port is open, but what listens there does not say INFO as a NATS server does",
			"if the server has handshake_first, set ROUTER_NATS_TLS_FIRST=true; else " + u.Host + " is not its client port: correct ROUTER_NATS_URL"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "no answer: packets are dropped on the way, or the machine is down", "let this machine reach " + u.Host + ": firewall, NetworkPolicy, routes"
	}
	return err.Error(), "let this machine reach " + u.Host
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, nats.ErrTimeout)
}
