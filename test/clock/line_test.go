package clock

import (
	"bytes"
	"net"
	"regexp"
	"sync"

	"github.com/nats-io/nats.go"
)

// line is a connection inside the process that loses, once it is cut, some of
// what the client sends, and tells nobody.
type line struct {
	server nats.InProcessConnProvider
	// lose returns what of a write gets through, and how much was lost.
	lose func(data []byte) (through []byte, lost int)

	mu   sync.Mutex
	torn bool
	lost int
}

// option makes a client connect through this line.
func (l *line) option() nats.Option { return nats.InProcessServer(l) }

func (l *line) InProcessConn() (net.Conn, error) {
	c, err := l.server.InProcessConn()
	return lossy{c, l}, err
}

// cut makes the line lose messages.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.torn = true
}

// mend makes it lose none any more, and returns how many it has lost.
func (l *line) mend() (lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.torn = false
	return l.lost
}

func (l *line) pass(data []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.torn {
		return data
	}
	through, lost := l.lose(data)
	l.lost += lost
	return through
}

// lossy is one connection over a line.
type lossy struct {
	net.Conn
	line *line
}

func (c lossy) Write(b []byte) (int, error) {
	if through := c.line.pass(b); len(through) > 0 {
		if _, err := c.Conn.Write(through); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// everything is lost if the other end is gone.
func everything([]byte) ([]byte, int) { return nil, 1 }

// acknowledgement is one as a client writes it to its connection.
var acknowledgement = regexp.MustCompile(`PUB \$JS\.ACK\.[^\r]*\r\n[^\r]*\r\n`)

// acknowledgements are lost, all else gets through.
func acknowledgements(data []byte) ([]byte, int) {
	return acknowledgement.ReplaceAll(data, nil), len(acknowledgement.FindAllIndex(data, -1))
}

// eager is a way into the server on which a client's writes never wait, as on a
// socket. The server's own connections inside the process have no buffer: a
// server that refuses a client while it is still writing, and the client, wait
// for each other.
type eager struct{ server nats.InProcessConnProvider }

func (e eager) InProcessConn() (net.Conn, error) {
	c, err := e.server.InProcessConn()
	if err != nil {
		return nil, err
	}
	q := &queued{Conn: c, out: make(chan []byte, 64), closed: make(chan struct{})}
	go q.pump()
	return q, nil
}

type queued struct {
	net.Conn
	out    chan []byte
	once   sync.Once
	closed chan struct{}
}

func (q *queued) Write(b []byte) (int, error) {
	select {
	case q.out <- bytes.Clone(b):
		return len(b), nil
	case <-q.closed:
		return 0, net.ErrClosed
	}
}

func (q *queued) Close() error {
	q.once.Do(func() { close(q.closed) })
	return q.Conn.Close()
}

func (q *queued) pump() {
	for {
		select {
		case b := <-q.out:
			if _, err := q.Conn.Write(b); err != nil {
				return
			}
		case <-q.closed:
			return
		}
	}
}
