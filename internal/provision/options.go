package provision

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
)

// Defaults of [Options].
const (
	DefaultMaxAge          = 12 * time.Hour
	DefaultMaxCallDuration = 4 * time.Hour
	DefaultAckWait         = 5 * time.Second
)

// Settings of the durables through which apps drain their inboxes.
const (
	// AppAckWait is how long after the death of a process that was handling a
	// message another process gets it. A client whose handler takes longer says in
	// time that it is still at work.
	AppAckWait = 5 * time.Second
	// AppPinnedTTL is how long the server keeps an app's durable pinned to a
	// client that has sent no pull request: the longest time until another client
	// takes over from a dead one. A client must pull more often than that.
	AppPinnedTTL = 3 * time.Second
)

// Options says what is to exist. In the zero value every field means its
// default.
type Options struct {
	// Replicas of streams and buckets. 0: one when created, any when verified.
	Replicas int
	// Storage is "file" or "memory". "": file when created, any when verified.
	Storage Storage
	// MaxAge is how long VOICE_OUT keeps messages. 0: [DefaultMaxAge] when created,
	// any that MaxCallDuration allows when verified.
	MaxAge time.Duration
	// MaxCallDuration is the longest call: MaxAge must be more than twice that,
	// else a live call could age away. Default [DefaultMaxCallDuration].
	MaxCallDuration time.Duration
	// AckWait is how long a worker may take before a message is delivered again.
	// Default [DefaultAckWait].
	AckWait time.Duration
	// Apps get a durable for their inbox each.
	Apps []identity.ID
	// Update lets Ensure change settings that differ, where the server allows it
	// and nothing stored is lost.
	Update bool
}

// Storage is where streams keep their messages.
type Storage string

// The kinds of storage.
const (
	File   Storage = "file"
	Memory Storage = "memory"
)

// Validate reports everything that is wrong with o at once.
func (o Options) Validate() error {
	_, err := o.check()
	return err
}

// check fills in the defaults that hold for creation and verification alike.
func (o Options) check() (Options, error) {
	if o.MaxCallDuration == 0 {
		o.MaxCallDuration = DefaultMaxCallDuration
	}
	if o.AckWait == 0 {
		o.AckWait = DefaultAckWait
	}
	var errs []error
	if o.Storage != "" && o.Storage != File && o.Storage != Memory {
		errs = append(errs, fmt.Errorf("provision: storage %.16q: want file or memory", o.Storage))
	}
	if o.Replicas < 0 || o.Replicas > 5 {
		errs = append(errs, fmt.Errorf("provision: %d replicas: want 1 to 5", o.Replicas))
	}
	if o.AckWait < 0 || o.MaxCallDuration < 0 || o.MaxAge < 0 {
		errs = append(errs, errors.New("provision: durations must not be negative"))
	}
	if o.MaxAge != 0 {
		errs = append(errs, checkAge(o.MaxAge, o.MaxCallDuration))
	}
	return o, errors.Join(errs...)
}

// checkAge enforces that the record of a call outlives the call.
func checkAge(age, call time.Duration) error {
	if age != 0 && age <= 2*call {
		return fmt.Errorf("provision: messages are kept for %s, which is not more than twice the longest call (%s): keep them longer or shorten the calls", age, call)
	}
	return nil
}

func (o Options) storage() jetstream.StorageType {
	if o.Storage == Memory {
		return jetstream.MemoryStorage
	}
	return jetstream.FileStorage
}

func (o Options) replicas() int { return max(o.Replicas, 1) }

func (o Options) maxAge() time.Duration {
	if o.MaxAge == 0 {
		// A fleet with long calls needs no second option for it to work.
		return max(DefaultMaxAge, 3*o.MaxCallDuration)
	}
	return o.MaxAge
}
