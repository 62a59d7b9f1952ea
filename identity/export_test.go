package identity

import "time"

// SetNow replaces the clock that judges how old cached records are.
func (d *KV) SetNow(now func() time.Time) { d.now = now }
