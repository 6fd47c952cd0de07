package custody

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/custody-log/custody/event"
)

// An event and its parts under names of this package, so that recording one
// takes one import.
type (
	// An Event is one thing somebody did; see [event.Event].
	Event = event.Event
	// A Party is somebody, or something, that acts.
	Party = event.Party
	// A Subject is something the event is about.
	Subject = event.Subject
	// A Credential is what the actor showed to be let in, never the secret.
	Credential = event.Credential
	// A Context says how the act reached the registry.
	Context = event.Context
	// A Change is one value that became another.
	Change = event.Change
	// An OIDC says which workload a trusted publisher was.
	OIDC = event.OIDC
	// An Outcome says how what the event is about ended.
	Outcome = event.Outcome
	// A Commitment commits to all fields of one event.
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
