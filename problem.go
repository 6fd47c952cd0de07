package custody

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An Error is an answer of the log that is not a success (RFC 9457).
type Error struct {
	Status int    // HTTP status code
	Type   string // for programs, for example "/problems/not-yet"; "" if the answer was not the log's own
	Title  string // for people
	Detail string // for people; may be empty
	Hint   string // what to try; may be empty
	Path   string // the member of the event that is wrong, for example "subjects[2].name"; may be empty
	Limit  string // the limit that was exceeded; may be empty
	Index  int    // the place in the batch, from 0, of the event that is wrong; -1 if it is about no single one
	Seq    int64  // of the event that has the ID already, when they differ; else -1
	Column int    // the place in the query that is wrong, in characters from 1; 0 if it is not about a query

	RetryAfter time.Duration // how long the log asks to be left alone; 0 if it does not say
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Title)
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Index >= 0 && !strings.Contains(e.Detail, "event "+strconv.Itoa(e.Index)) {
		fmt.Fprintf(&b, ", event %d", e.Index)
	}
	if e.Path != "" && !strings.Contains(e.Detail, e.Path) {
		b.WriteString(", " + e.Path)
	}
	if e.Limit != "" && !strings.Contains(e.Detail, e.Limit) {
		b.WriteString(", the limit is " + e.Limit)
	}
	fmt.Fprintf(&b, " (status %d)", e.Status)
	return b.String()
}

// Types of problems that a caller may want to tell apart.
const (
	problemNotYet      = "/problems/not-yet"
	problemNoWitnesses = "/problems/no-witnesses"
	problemDamaged     = "/problems/damaged"
	problemPrefix      = "/problems/"
)

// readProblem returns the answer of status and body as an error.
func readProblem(resp *http.Response, body []byte) *Error {
	e := &Error{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode), Index: -1, Seq: -1}
	if e.Title == "" {
		e.Title = "unknown status"
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if place := resp.Header.Get("Location"); place != "" && resp.StatusCode < http.StatusBadRequest {
		e.Detail = "the log is said to be at " + shorten(place)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		return e // whatever stands between us and the log; its page helps nobody
	}
	var p struct {
		Type, Title, Detail, Hint, Path string
		Limit                           any
		Index                           *int
		Seq                             *int64
		Column                          int
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return e
	}
	e.Type, e.Detail, e.Hint, e.Path, e.Column = p.Type, p.Detail, p.Hint, p.Path, p.Column
	if p.Title != "" {
		e.Title = p.Title
	}
	if p.Limit != nil {
		e.Limit = fmt.Sprint(p.Limit)
	}
	if p.Index != nil {
		e.Index = *p.Index
	}
	if p.Seq != nil {
		e.Seq = *p.Seq
	}
	return e
}

// problem returns the log's answer in err, or nil.
func problem(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// ours reports whether the log itself answered e, and not something before it.
func (e *Error) ours() bool { return strings.HasPrefix(e.Type, problemPrefix) }

// passing reports whether the same request may succeed later.
func (e *Error) passing() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout ||
		e.Status >= http.StatusInternalServerError && e.Status != http.StatusNotImplemented && e.Type != problemDamaged
}

// shorten bounds what a message repeats of what others wrote.
func shorten(s string) string {
	const most = 200 // bytes
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
