package workload

import (
	"fmt"
	"slices"
)

// Cast is who takes part. All of them must be in the directory of the fleet before
// [New]; the fleet must hold the key of Proxy, and Apps need their durables.
type Cast struct {
	// Proxy stands between the sides of masked conversations.
	Proxy string
	// Operators and Customers are users.
	Operators, Customers []string
	// Relays are apps, each a proxy written by hand.
	Relays []string
}

// NewCast names n operators, n customers and some relays. No name is part of
// another, so that none is found in what does not name it.
func NewCast(n, relays int) Cast {
	c := Cast{Proxy: "proxy"}
	for i := range n {
		c.Operators = append(c.Operators, fmt.Sprintf("81%08d", 7919*(i+1)))
		c.Customers = append(c.Customers, fmt.Sprintf("92%08d", 7907*(i+1)))
	}
	for i := range relays {
		c.Relays = append(c.Relays, fmt.Sprintf("relay-%d", i+1))
	}
	return c
}

// Users lists the identities of role user.
func (c Cast) Users() []string { return slices.Concat(c.Operators, c.Customers) }

// Apps lists the identities of role app.
func (c Cast) Apps() []string { return append([]string{c.Proxy}, c.Relays...) }

// legacy reports whether the i-th of a side has an old client: one device, without
// a name, that knows the six upstream types.
func legacy(i int) bool { return i%4 == 3 }
