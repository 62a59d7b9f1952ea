package voice

import (
	"errors"
	"fmt"
)

// Errors of sends and of [Connect]. A message that breaks the protocol is refused before it is
// sent, with a *signal.Refusal.
var (
	// ErrClosed is returned by every call after [Client.Close].
	ErrClosed = errors.New("voice: client is closed")
	// ErrTimeout is returned when the broker has not answered in time. Whether it
	// stored the message is unknown. Sending the same message with the same JTI
	// again is safe: it counts once.
	ErrTimeout = errors.New("voice: no answer from the broker, the message may or may not be stored")
	// ErrNoRouter is returned when nothing at the broker takes voice messages: the
	// service is not provisioned or its stream has no leader. Nothing was stored.
	ErrNoRouter = errors.New("voice: nobody takes voice messages at the broker")
	// ErrNotPermitted is returned by [Connect] when the broker does not take the
	// connection for this identity in this role, and by a send when the connection
	// may not send this type of message as this identity. Nothing was stored.
	ErrNotPermitted = errors.New("voice: the broker does not permit this connection to act as this identity")
	// ErrRefused is wrapped by every error with which the broker refused to store
	// a message. Nothing was stored.
	ErrRefused = errors.New("voice: the broker refused the message")
	// ErrBacklogFull is returned when too many messages of this identity and type
	// wait for the router: send again later. It wraps [ErrRefused].
	ErrBacklogFull = fmt.Errorf("%w: backlog of this identity is full", ErrRefused)
)

// BrokerError is a refusal of the broker that has no sentinel of its own. It
// wraps [ErrRefused].
type BrokerError struct {
	// Code resembles an HTTP status; from 500 on, sending again may help.
	Code int
	// ErrCode is the error code of JetStream.
	ErrCode int
	// Description is the broker's own text.
	Description string
}

// Error implements error.
func (e *BrokerError) Error() string {
	return fmt.Sprintf("%v: %s (%d, %d)", ErrRefused, e.Description, e.Code, e.ErrCode)
}

// Unwrap returns [ErrRefused].
func (e *BrokerError) Unwrap() error { return ErrRefused }
