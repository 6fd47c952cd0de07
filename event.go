package custody

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/custody-log/custody/event"
)

// The parts of an event, so that recording one takes one import.
type (
	Event      = event.Event
	Party      = event.Party
	Subject    = event.Subject
	Credential = event.Credential
	Context    = event.Context
	Change     = event.Change
	OIDC       = event.OIDC
	Outcome    = event.Outcome
	Commitment = event.Commitment
)

// The outcomes.
const (
	Success = event.Success
	Failure = event.Failure
	Denied  = event.Denied
	Unknown = event.Unknown
)

// A Recorder keeps events: a [Client] in the log, a [Buffer] on this machine's
// disk until the log has them.
type Recorder interface {
	// Record returns nil once e is durable where the Recorder keeps events.
	Record(ctx context.Context, e Event) (Ack, error)
}

// An Ack says that an event is durable.
type Ack struct {
	ID         string     // the event's; also set when there was an error
	Seq        int64      // its position in the log; -1 if it is not in the log yet, or there was an error
	Commitment Commitment // what the log committed to; keep it to prove an omission later
	Duplicate  bool       // the event was in the log before
	Buffered   bool       // it is in a [Buffer], on its way to the log
}

// complete fills in what every event must say and the caller left out.
func complete(e *Event) {
	if e.ID == "" {
		e.ID = event.NewID()
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Microsecond) // what the log keeps
	if e.Outcome == "" {
		e.Outcome = Success
	}
}

// encode returns e as JSON, checked as the log will check it, and its fields.
func encode(e *Event) ([]byte, event.Fields, error) {
	data, err := json.Marshal(e)
	if err != nil {
		var wrong *event.InvalidError
		if errors.As(err, &wrong) { // a value of [Draft.With]
			err = wrong
		}
		return nil, nil, err
	}
	fields, err := event.Parse(data)
	return data, fields, err
}

// encodeNew completes e and encodes it.
func encodeNew(e *Event) ([]byte, event.Fields, error) {
	complete(e)
	data, fields, err := encode(e)
	if err != nil {
		return nil, nil, fmt.Errorf("custody: record %s %s: %w", e.Tag, e.ID, err)
	}
	return data, fields, nil
}
