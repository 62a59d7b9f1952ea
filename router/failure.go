package router

import (
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// failure says what follows from a failed commit.
type failure uint8

const (
	// transient: nobody knows whether the batch was stored, or the server cannot
	// store now. Deliver again, read the records anew.
	transient failure = iota
	// conflict: another worker moved one of the calls. Reload and decide again.
	conflict
	// starved: the server refused for want of space. Like transient; timers that
	// came due meanwhile are dead and have to be written again.
	starved
	// poison: the server refuses the content. Split until the culprit is alone.
	poison
	// unexplained: the server refuses for a reason that nobody foresaw. It may be
	// the state of the stream, which is mended, or one message, which must not keep
	// the others back for ever. Like transient at first, like poison if it goes on.
	unexplained
)

// failures is how many kinds of failure there are.
const failures = int(unexplained) + 1

func (f failure) String() string {
	return [failures]string{"transient", "conflict", "starved", "poison", "unexplained"}[f]
}

// Error codes of the JetStream API that nats.go does not name.
const (
	codeAccountFull               = 10002
	codeWrongLastSequence         = 10071
	codeWrongLastSequenceConstant = 10164
	codeInsufficientResources     = 10023
	codeNoMemory                  = 10028
	codeStorageExceeded           = 10047
	codeStoreFailed               = 10077
	codeMessageTooLarge           = 10054
	codeHeaderTooLarge            = 10097
	codeRollup                    = 10111
	codeBatchTooLarge             = 10199
	codeUnsupportedHeader         = 10177
	codeBadTTL                    = 10165
	codeBadSchedule               = 10189
	codeBadScheduleTarget         = 10190
	codeBadScheduleTTL            = 10191
	codeBadScheduleRollup         = 10192
	codeBadScheduler              = 10212
	codeBadSequence               = 10193
	codeNoPeers                   = 10005
	codeNotActive                 = 10006
	codeNotAvailable              = 10008
	codeNotLeader                 = 10009
	codeNotEnabledForAccount      = 10039
	codeStreamNotFound            = 10059
	codeNotEnabled                = 10076
	codeStreamOffline             = 10118
	codeStreamSealed              = 10109
	codeNoLimits                  = 10120
	codeTTLDisabled               = 10166
	codeSchedulesDisabled         = 10188
	codeBatchDisabled             = 10174
	codeBatchIncomplete           = 10176
	codeDuplicateID               = 10201
	codeTooManyBatches            = 10210
)

func classify(err error) failure {
	if _, bad := errors.AsType[errPoison](err); bad {
		return poison
	}
	api, refused := errors.AsType[*jetstream.APIError](err)
	if !refused {
		if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadHeaderMsg) || errors.Is(err, nats.ErrBadSubject) {
			return poison
		}
		return transient
	}
	switch api.ErrorCode {
	case codeWrongLastSequence, codeWrongLastSequenceConstant:
		return conflict
	case codeAccountFull, codeInsufficientResources, codeNoMemory, codeStorageExceeded, codeStoreFailed:
		return starved
	case codeMessageTooLarge, codeHeaderTooLarge, codeRollup, codeBatchTooLarge, codeUnsupportedHeader, codeBadTTL,
		codeBadSchedule, codeBadScheduleTarget, codeBadScheduleTTL, codeBadScheduleRollup, codeBadScheduler, codeBadSequence:
		return poison
	case codeNotAvailable, codeNotActive, codeNotLeader, codeNoPeers, codeNotEnabled, codeNotEnabledForAccount,
		codeStreamNotFound, codeStreamOffline, codeStreamSealed, codeNoLimits, codeBatchDisabled, codeTTLDisabled, codeSchedulesDisabled,
		codeBatchIncomplete, codeTooManyBatches, codeDuplicateID:
		// The state of the server, or a stream that is not as it must be, is mended.
		return transient
	default:
		return unexplained
	}
}
