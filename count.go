package custody

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxCountBytes bounds an answer with counts: 16 fields with 1,000 values each.
const maxCountBytes = 64 << 20 // 64 MiB

// A Count is how many events match.
type Count struct {
	Events   int64 `json:"count"`
	Complete bool  `json:"complete"` // if not, the time was up: what is counted is of a part of the events
	Behind   int64 `json:"behind"`   // records that the log has and could not count yet

	Raw json.RawMessage `json:"-"` // all of it, exactly as the log answered
}

// A ValueCount is in how many events a value is.
type ValueCount struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// Facets are the most frequent values of fields, in the events that match.
type Facets struct {
	Count

	Values map[string][]ValueCount `json:"facets"` // by field, the most frequent first
}

// A Bucket is how many events there were from a time on, for one interval.
type Bucket struct {
	Time  time.Time `json:"time"`
	Count int64     `json:"count"`
}

// An Interval is the length of buckets of time. They are in UTC, and weeks
// begin on Monday.
type Interval string

// The intervals.
const (
	Auto   Interval = "auto" // by the span of time, for 30 to 200 buckets
	Minute Interval = "minute"
	Hour   Interval = "hour"
	Day    Interval = "day"
	Week   Interval = "week"
	Month  Interval = "month"
	Year   Interval = "year"
)

// A Histogram is how many events match, by time.
type Histogram struct {
	Count

	Interval Interval `json:"interval"` // never Auto, but what it became
	Buckets  []Bucket `json:"buckets"`  // oldest first, without empty ones
}

// Count returns how many events match q. Like all answers that count it uses
// Text, After, Before and Budget of q. Look at Complete before you rely on it.
func (c *Client) Count(ctx context.Context, q Query) (*Count, error) {
	n := new(Count)
	raw, err := c.count(ctx, "/v1/count", q, q.values(), n)
	if err != nil {
		return nil, fmt.Errorf("custody: count: %w", err)
	}
	n.Raw = raw
	return n, nil
}

// Facets returns the most frequent values of some fields, for example "actor"
// and "project", in the events that match q: of each as many as q.Limit says. An
// event with two projects counts for both.
func (c *Client) Facets(ctx context.Context, q Query, fields ...string) (*Facets, error) {
	v := q.values()
	v["field"] = fields
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	f := new(Facets)
	raw, err := c.count(ctx, "/v1/facets", q, v, f)
	if err != nil {
		return nil, fmt.Errorf("custody: facets: %w", err)
	}
	f.Raw = raw
	return f, nil
}

// Histogram returns how many events match q in each interval of time.
func (c *Client) Histogram(ctx context.Context, q Query, interval Interval) (*Histogram, error) {
	v := q.values()
	v.Set("interval", string(interval))
	h := new(Histogram)
	raw, err := c.count(ctx, "/v1/histogram", q, v, h)
	if err != nil {
		return nil, fmt.Errorf("custody: histogram: %w", err)
	}
	h.Raw = raw
	return h, nil
}

// count asks for an answer that counts.
func (c *Client) count(ctx context.Context, path string, q Query, v url.Values, answer any) (json.RawMessage, error) {
	var raw json.RawMessage
	r := &request{method: http.MethodGet, path: path + "?" + v.Encode(), limit: maxCountBytes, wait: q.Budget}
	if err := c.ask(ctx, r, &raw); err != nil {
		return nil, err
	}
	// A page of something between us and the log must not count as no events.
	var there struct {
		Count *int64 `json:"count"`
	}
	if err := json.Unmarshal(raw, &there); err != nil || there.Count == nil {
		return nil, fmt.Errorf("%w: %q", errNotALog, shorten(string(raw)))
	}
	return raw, decode(raw, answer)
}

// Values returns up to limit values of a field that begin with a prefix,
// sorted, for completing what somebody types. A limit of 0 leaves it to the log.
func (c *Client) Values(ctx context.Context, field, prefix string, limit int) ([]string, error) {
	v := url.Values{"field": {field}}
	if prefix != "" {
		v.Set("prefix", prefix)
	}
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	var answer struct {
		Values []string `json:"values"`
	}
	err := c.ask(ctx, &request{method: http.MethodGet, path: "/v1/values?" + v.Encode(), limit: maxCountBytes}, &answer)
	if err == nil && answer.Values == nil {
		err = errNotALog
	}
	if err != nil {
		return nil, fmt.Errorf("custody: values: %w", err)
	}
	return answer.Values, nil
}
