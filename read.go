package custody

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/custody-log/custody/proof"
)

// maxPageBytes bounds one page of a search: 1,000 events, each with what the
// log adds.
const maxPageBytes = 128 << 20 // 128 MiB

// A Found is an event as the log shows it to this reader, who may not be shown
// every field.
type Found struct {
	Event

	Seq        int64
	Text       string // the event as a sentence
	Class      string
	Severity   string
	Commitment Commitment

	Raw json.RawMessage // all of it, exactly as the log answered
}

// UnmarshalJSON implements [json.Unmarshaler]. Whole numbers in metadata and
// changes become int64, others [json.Number].
func (f *Found) UnmarshalJSON(data []byte) error {
	var rest struct {
		Seq        *int64 `json:"seq"`
		Text       string `json:"text"`
		Class      string `json:"class"`
		Severity   string `json:"severity"`
		Commitment string `json:"commitment"`
	}
	if err := json.Unmarshal(data, &rest); err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(rest.Commitment)
	if err != nil || rest.Seq == nil || len(raw) != 0 && len(raw) != len(f.Commitment) {
		return errors.New("it is not an event of a log")
	}
	*f = Found{Seq: *rest.Seq, Text: rest.Text, Class: rest.Class, Severity: rest.Severity, Raw: bytes.Clone(data)}
	copy(f.Commitment[:], raw)
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&f.Event); err != nil {
		return err
	}
	for name, v := range f.Metadata {
		f.Metadata[name] = whole(v)
	}
	for i := range f.Changes {
		f.Changes[i].Old, f.Changes[i].New = whole(f.Changes[i].Old), whole(f.Changes[i].New)
	}
	return nil
}

// MarshalJSON implements [json.Marshaler]: it is what the log answered.
func (f *Found) MarshalJSON() ([]byte, error) { return f.Raw, nil }

// whole returns v as an int64 if it is a number that is one.
func whole(v any) any {
	if n, ok := v.(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			return i
		}
	}
	return v
}

// Event returns the event at seq.
func (c *Client) Event(ctx context.Context, seq int64) (*Found, error) {
	f := new(Found)
	r := &request{method: http.MethodGet, path: fmt.Sprintf("/v1/events/%d", seq)}
	err := c.ask(ctx, r, f)
	if err == nil && f.Seq != seq {
		err = fmt.Errorf("the log answered with event %d", f.Seq)
	}
	if err != nil {
		return nil, fmt.Errorf("custody: event %d: %w", seq, err)
	}
	return f, nil
}

// A Query says which events to find. The zero Query is all of them.
type Query struct {
	Text   string    // in the log's query language, for example "project:demo-pkg (outcome:denied OR -actor:alice)"
	After  time.Time // only events that happened at this time or later
	Before time.Time // only events that happened earlier
	Order  Order     // which come first; "" is Newest
	Limit  int       // events of one page, or values of one field; 0 leaves it to the log
	Cursor string    // where a page before this one ended; "" is the first event in the order

	// Budget is how long the log may take for one answer, at most 30 s. 0 leaves
	// it to the log, which then takes up to 5 s.
	Budget time.Duration
}

// An Order says which events come first, by the time at which they happened.
type Order string

// The orders.
const (
	Newest Order = "newest"
	Oldest Order = "oldest"
)

// values returns the parameters that all answers to a query have.
func (q *Query) values() url.Values {
	v := make(url.Values)
	if q.Text != "" {
		v.Set("q", q.Text)
	}
	if !q.After.IsZero() {
		v.Set("after", q.After.UTC().Format(time.RFC3339Nano))
	}
	if !q.Before.IsZero() {
		v.Set("before", q.Before.UTC().Format(time.RFC3339Nano))
	}
	if q.Budget > 0 {
		v.Set("budget", q.Budget.String())
	}
	return v
}

// A Page is one part of the answer to a Query.
type Page struct {
	Events   []*Found `json:"events"`   // in the order asked for
	Next     string   `json:"next"`     // the Cursor of the next page; "" after the last
	Behind   int64    `json:"behind"`   // records that the log has and could not search yet
	Looked   int64    `json:"looked"`   // events that the log had to compare one by one
	Complete bool     `json:"complete"` // if not, the time was up before the page was full; Next goes on

	Raw json.RawMessage `json:"-"` // all of it, exactly as the log answered
}

// SearchPage returns one page of the events that match q.
func (c *Client) SearchPage(ctx context.Context, q Query) (*Page, error) {
	v := q.values()
	if q.Order != "" {
		v.Set("order", string(q.Order))
	}
	if q.Cursor != "" {
		v.Set("cursor", q.Cursor)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	var raw json.RawMessage
	r := &request{method: http.MethodGet, path: eventsPath + "?" + v.Encode(), limit: maxPageBytes, wait: q.Budget}
	page := new(Page)
	err := c.ask(ctx, r, &raw)
	if err == nil {
		err = decode(raw, page)
	}
	if err == nil && page.Next != "" && page.Next == q.Cursor {
		err = errNoProgress
		if page.Complete {
			err = fmt.Errorf("%w: the next page is the same page", errNotALog)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("custody: search: %w", err)
	}
	page.Raw = raw
	return page, nil
}

// errNoProgress means that a page used up its time and did not get anywhere.
var errNoProgress = errors.New("the log could not look at anything in the time it had; give it more (Budget), or a narrower query")

// Search yields the events that match q in its order, page by page, and ends
// after the last or with an error.
func (c *Client) Search(ctx context.Context, q Query) iter.Seq2[*Found, error] {
	return func(yield func(*Found, error) bool) {
		for {
			page, err := c.SearchPage(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, f := range page.Events {
				if !yield(f, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.Cursor = page.Next
		}
	}
}

// Checkpoint returns the newest checkpoint of the log and the signed note it
// is in. It was checked with the client's policy and compared with the newest
// one the client saw: a log that forgot or changed records since is a
// [*ForkError].
func (c *Client) Checkpoint(ctx context.Context) (*proof.Checkpoint, []byte, error) {
	fail := func(err error) (*proof.Checkpoint, []byte, error) {
		return nil, nil, fmt.Errorf("custody: checkpoint: %w", err)
	}
	if c.policy == nil {
		return fail(ErrNoKey)
	}
	var answer struct {
		Note string `json:"note"`
	}
	r := &request{method: http.MethodGet, path: "/v1/checkpoint"}
	if err := c.ask(ctx, r, &answer); err != nil {
		return fail(err)
	}
	// The newest one need not be cosigned yet: what is asked here is whether
	// the log agrees with itself.
	seen, err := c.policy.Check([]byte(answer.Note))
	if err != nil {
		return fail(err)
	}
	if err := c.remember(ctx, seen, []byte(answer.Note)); err != nil {
		return fail(err)
	}
	return seen, []byte(answer.Note), nil
}

// Info is what the log says about itself. Nothing of it was checked; a key
// from here is the right one only if somebody who can be trusted confirms it.
type Info struct {
	LogKeys

	Origin         string        `json:"origin"`
	Size           int64         `json:"size"`            // records
	CheckpointSize int64         `json:"checkpoint_size"` // records that a signed checkpoint covers
	Views          []ViewInfo    `json:"views"`
	Sources        []SourceInfo  `json:"sources"`
	Witnesses      []WitnessInfo `json:"witnesses"`
	Trouble        []string      `json:"trouble"` // what is wrong, in sentences
	Version        string        `json:"version"` // of the log's program

	Raw json.RawMessage `json:"-"` // all of it, exactly as the log answered
}

// A ViewInfo says how far something computed from the records has come.
type ViewInfo struct {
	Name   string `json:"name"`
	Cursor int64  `json:"cursor"` // records it has taken in
	Lag    int64  `json:"lag"`    // records it has not
}

// A SourceInfo is a program that submits events.
type SourceInfo struct {
	Name     string    `json:"name"`
	LastSeen time.Time `json:"last_seen"`
	LastSeq  int64     `json:"last_seq"` // the highest number of its own count
	Missing  int64     `json:"missing"`  // numbers of its count that have not arrived
	Silent   bool      `json:"silent"`
}

// A WitnessInfo is how a witness does.
type WitnessInfo struct {
	Name  string    `json:"name"`
	Size  int64     `json:"size"`  // of the latest checkpoint it cosigned
	Time  time.Time `json:"time"`  // when it did
	Error string    `json:"error"` // why it did not since
}

// Info returns what the log says about itself.
func (c *Client) Info(ctx context.Context) (*Info, error) {
	var raw json.RawMessage
	info := new(Info)
	err := c.ask(ctx, &request{method: http.MethodGet, path: "/v1/log"}, &raw)
	if err == nil {
		err = decode(raw, info)
	}
	if err != nil {
		return nil, fmt.Errorf("custody: log info: %w", err)
	}
	info.Raw = raw
	return info, nil
}
