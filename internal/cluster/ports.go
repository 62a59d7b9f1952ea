package cluster

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// freePorts returns n ports of the loopback address on which nobody listens. They
// are below the range from which systems choose ports for connections, so that
// a server finds its own free when it comes back.
func freePorts(n int) ([]int, error) {
	const lowest, highest = 10000, 32000
	var ports []int
	taken := map[int]bool{}
	for tries := 0; len(ports) < n; tries++ {
		if tries > 1000 {
			return nil, errors.New("cluster: no free ports on 127.0.0.1")
		}
		port := lowest + rand.N(highest-lowest)
		if taken[port] {
			continue
		}
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		taken[port] = true
		ports = append(ports, port)
	}
	return ports, nil
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
