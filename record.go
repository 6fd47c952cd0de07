package custody

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/custody-log/custody/event"
)

// Record records e and returns once it is durable in the log. It fills in the
// ID, the Time and the Outcome, success, where e has none.
//
// Record tries again while the log cannot be reached, always with the same ID,
// so the event is recorded once. After an error it may or may not have been
// recorded; recording it again with the ID in the Ack is safe. An
// [*event.InvalidError] says which member of e is wrong, an [*Error] what the
// log had against it.
func (c *Client) Record(ctx context.Context, e Event) (Ack, error) {
	ack, _, err := c.record(ctx, e)
	return ack, err
}

// record is Record, and returns what was sent.
func (c *Client) record(ctx context.Context, e Event) (Ack, event.Fields, error) {
	data, fields, err := encodeNew(&e)
	if err != nil {
		return Ack{ID: e.ID, Seq: -1}, nil, err
	}
	var answer oneAnswer
	r := &request{method: http.MethodPost, path: eventsPath, body: data, contentType: typeJSON}
	if err := c.ask(ctx, r, &answer); err != nil {
		return Ack{ID: e.ID, Seq: -1}, nil, fmt.Errorf("custody: record %s %s: %w", e.Tag, e.ID, err)
	}
	ack := answer.ack()
	ack.ID = e.ID
	return ack, fields, nil
}

// RecordAll records a batch: all of its events or, after an error, none. It
// fills in what they leave out in events itself, so that recording them again
// is safe. Acks are in the order of events. Errors about one event name its
// place; a batch over the limits of one request is an [*event.LimitError].
func (c *Client) RecordAll(ctx context.Context, events []Event) ([]Ack, error) {
	if len(events) == 0 {
		return nil, nil
	}
	body, err := encodeBatch(events)
	if err != nil {
		return nil, fmt.Errorf("custody: record batch: %w", err)
	}
	answer := batchAnswer{want: len(events)}
	r := &request{method: http.MethodPost, path: eventsPath, body: body, contentType: typeNDJSON}
	if err := c.ask(ctx, r, &answer); err != nil {
		return nil, fmt.Errorf("custody: record batch of %d events: %w", len(events), err)
	}
	acks := make([]Ack, len(events))
	for i := range answer.Events {
		acks[i] = answer.Events[i].ack()
		acks[i].ID = events[i].ID
	}
	return acks, nil
}

// encodeBatch completes events and returns them as lines of JSON.
func encodeBatch(events []Event) ([]byte, error) {
	if len(events) > event.MaxBatchEvents {
		return nil, &event.LimitError{Index: -1, Limit: fmt.Sprintf("batch of at most %d events", event.MaxBatchEvents)}
	}
	var body []byte
	for i := range events {
		complete(&events[i])
		data, _, err := encode(&events[i])
		if err != nil {
			return nil, inBatch(err, i)
		}
		body = append(append(body, data...), '\n')
	}
	if len(body) > event.MaxBatchBytes {
		return nil, &event.LimitError{Index: -1, Limit: fmt.Sprintf("batch of at most %d bytes", event.MaxBatchBytes)}
	}
	return body, nil
}

// inBatch makes an error about one event name its place.
func inBatch(err error, place int) error {
	var wrong *event.InvalidError
	var over *event.LimitError
	switch {
	case errors.As(err, &wrong):
		wrong.Index = place
		return wrong
	case errors.As(err, &over):
		over.Index = place
		return over
	}
	return fmt.Errorf("event %d: %w", place, err)
}

// A SubmitOption changes how [Client.SubmitJSON] submits.
type SubmitOption func(*request)

// Imported marks the events as history that is loaded later. The key must be
// an administrator's.
func Imported() SubmitOption {
	return func(r *request) { r.path = eventsPath + "?trust=imported" }
}

// SubmitJSON records what is JSON already, as it is: an event, an array of
// events, or with ndjson a line for each. It checks nothing; the log does. The
// answer, as the log gave it, is in raw. Acks have no ID.
func (c *Client) SubmitJSON(ctx context.Context, data []byte, ndjson bool, opts ...SubmitOption) (acks []Ack, raw json.RawMessage, err error) {
	r := &request{method: http.MethodPost, path: eventsPath, body: data, contentType: typeJSON}
	single := !ndjson && !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("["))
	if ndjson {
		r.contentType = typeNDJSON
	}
	for _, opt := range opts {
		opt(r)
	}
	answer := rawAnswer{single: single}
	if err := c.ask(ctx, r, &answer); err != nil {
		return nil, nil, fmt.Errorf("custody: submit: %w", err)
	}
	return answer.acks, answer.raw, nil
}

const (
	eventsPath = "/v1/events"
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
)

// oneAnswer is the log's answer about one event.
type oneAnswer struct {
	Seq        *int64 `json:"seq"`
	Commitment string `json:"commitment"`
	Duplicate  bool   `json:"duplicate"`

	commitment Commitment
}

func (a *oneAnswer) check() error {
	raw, err := base64.StdEncoding.DecodeString(a.Commitment)
	if err != nil || len(raw) != len(a.commitment) || a.Seq == nil || *a.Seq < 0 {
		return errors.New("no seq or no commitment")
	}
	copy(a.commitment[:], raw)
	return nil
}

func (a *oneAnswer) ack() Ack {
	return Ack{Seq: *a.Seq, Commitment: a.commitment, Duplicate: a.Duplicate}
}

// batchAnswer is the log's answer about a batch.
type batchAnswer struct {
	Events []oneAnswer `json:"events"`

	want int // events that were sent; 0 for any number
}

func (a *batchAnswer) check() error {
	if a.want > 0 && len(a.Events) != a.want || len(a.Events) == 0 {
		return fmt.Errorf("it is about %d events", len(a.Events))
	}
	for i := range a.Events {
		if err := a.Events[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// briefAnswer is the log's answer about a batch whose positions were not asked
// for.
type briefAnswer struct {
	Accepted   *int `json:"accepted"`
	Duplicates int  `json:"duplicates"`

	want int
}

func (a *briefAnswer) check() error {
	if a.Accepted == nil || *a.Accepted+a.Duplicates != a.want {
		return fmt.Errorf("it is not about %d events", a.want)
	}
	return nil
}

// rawAnswer is either, with its text.
type rawAnswer struct {
	single bool
	raw    json.RawMessage
	acks   []Ack
}

// UnmarshalJSON implements [json.Unmarshaler].
func (a *rawAnswer) UnmarshalJSON(data []byte) error {
	a.raw = bytes.Clone(data)
	var batch batchAnswer
	if a.single {
		batch.Events = make([]oneAnswer, 1)
		if err := decode(data, &batch.Events[0]); err != nil {
			return err
		}
	} else if err := decode(data, &batch); err != nil {
		return err
	}
	a.acks = make([]Ack, len(batch.Events))
	for i := range batch.Events {
		a.acks[i] = batch.Events[i].ack()
		a.acks[i].ID = ""
	}
	return nil
}
