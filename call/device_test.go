package call

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// device is an honest client: it obeys what is delivered to it, and does at any
// time what its user may want. A device that is not aware knows the six upstream
// types only, no parties and no data of a stop.
type device struct {
	id    identity.ID
	party string
	aware bool
	// At most one call in each role: out is what it called and waits for, in what
	// rings, talk what it talks in. An incoming call beside an outgoing one rings
	// silently: glare is about to be settled.
	out, in, talk string
	over          []string // outgoing call_ids that others ended
	read          int      // how much of the inbox it has read
}

func (d *device) String() string {
	return fmt.Sprintf("%s/%s(out=%s in=%s talk=%s)", nameOf(d.id), d.party, d.out, d.in, d.talk)
}

func (d *device) idle() bool { return d.out == "" && d.in == "" && d.talk == "" }

// hear is what the device does about a message; send is how it answers.
func (d *device) hear(say Say, send func(signal.Type, string)) {
	switch say.Type {
	case signal.Start:
		switch {
		case d.in == say.CallID || d.talk == say.CallID:
		case d.in != "" || d.talk != "", d.out != "" && !d.aware:
			send(signal.Busy, say.CallID)
		default:
			d.in = say.CallID
			if d.aware {
				send(signal.Ringing, say.CallID)
			}
		}
	case signal.Accept:
		if d.out == say.CallID {
			d.out, d.talk = "", say.CallID
		}
	case signal.Busy:
		if d.out == say.CallID {
			d.drop(say.CallID)
		}
	case signal.Stop:
		var data stopData
		if d.aware && say.Data != nil && json.Unmarshal(say.Data, &data) == nil && data.Party == d.party && d.party != "" {
			return // meant for the other devices
		}
		d.drop(say.CallID)
	}
}

func (d *device) drop(callID string) {
	if d.out == callID {
		d.out = ""
		d.over = append(d.over, callID)
	}
	if d.in == callID {
		d.in = ""
	}
	if d.talk == callID {
		d.talk = ""
	}
}

// wish is something that the user may do now.
type wish struct {
	name string
	do   func()
}

// wishes lists what the user may do now. newCall makes an unused call_id.
func (d *device) wishes(newCall func() string, send func(signal.Type, string)) []wish {
	var w []wish
	wish1 := func(name string, do func()) { w = append(w, wish{name, do}) }
	if d.idle() {
		wish1("start", func() {
			d.out = newCall()
			send(signal.Start, d.out)
			if d.aware {
				send(signal.Candidate, d.out)
			}
		})
	}
	if d.idle() && len(d.over) > 0 && !d.aware {
		wish1("start again with an old call_id", func() {
			d.out, d.over = d.over[0], d.over[1:]
			send(signal.Start, d.out)
		})
	}
	if d.out != "" {
		wish1("cancel", func() { send(signal.Stop, d.out); d.out = "" })
		wish1("retry", func() { send(signal.Start, d.out) })
	}
	if d.in != "" && d.out == "" {
		wish1("accept", func() { d.talk, d.in = d.in, ""; send(signal.Accept, d.talk) })
		wish1("accept and trickle", func() {
			d.talk, d.in = d.in, ""
			send(signal.Accept, d.talk)
			if d.aware {
				send(signal.Candidate, d.talk)
			}
		})
	}
	if d.in != "" {
		wish1("refuse", func() { send(signal.Busy, d.in); d.in = "" })
		wish1("decline", func() { send(signal.Stop, d.in); d.in = "" })
	}
	if d.talk != "" {
		wish1("hang up", func() { send(signal.Stop, d.talk); send(signal.Summary, d.talk); d.talk = "" })
	}
	if d.talk != "" && d.aware {
		wish1("update", func() { send(signal.Update, d.talk) })
	}
	return w
}
