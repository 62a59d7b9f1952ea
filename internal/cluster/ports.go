package cluster

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// portPool hands out each port once: between the choice of a port and the moment
// when somebody listens on it, another choice must not fall on it.
type portPool struct {
	mu    sync.Mutex
	taken map[int]bool
}

// free returns n ports of the loopback address on which nobody listens. They are
// below the range from which systems choose ports for connections, so that a
// server finds its own free when it comes back.
func (p *portPool) free(n int) ([]int, error) {
	const lowest, highest = 10000, 32000
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken == nil {
		p.taken = map[int]bool{}
	}
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		if tries > 1000 {
			return nil, errors.New("cluster: no free ports on 127.0.0.1")
		}
		port := lowest + rand.N(highest-lowest)
		if p.taken[port] {
			continue
		}
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		p.taken[port] = true
		ports = append(ports, port)
	}
	return ports, nil
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
