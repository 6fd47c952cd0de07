package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/proof"
)

// Bounds of reading an export.
const (
	maxExportLine    = 2*proof.MaxProofBytes + 64<<10
	maxExportPage    = 1000             // events between two cursors
	exportTries      = 6                // in a row that bring nothing
	firstExportRetry = time.Second      // doubled each time
	exportSilence    = 90 * time.Second // after which the log counts as away; it looks that long at what does not match only if it is very busy
)

// An exportStream is what the log answers to an export, over as many connections
// as it takes.
type exportStream struct {
	job       *exportJob
	format    string // records or receipts
	witnessed bool
	once      bool // do not go on on another connection
	cursor    string
	rows      int64 // handed on

	row  func(*export.Row) error
	mark func(cursor string) error

	// receipt is called for each event in place of row, if the format has them.
	receipt func(seq int64, severity, text, receipt string) error

	waiting []*export.Row // rows after the last cursor
}

// An exportLine is one line of the answer.
type exportLine struct {
	Seq      *int64     `json:"seq"`
	Severity string     `json:"severity"`
	Text     string     `json:"text"`
	Record   []byte     `json:"record"`
	Receipt  string     `json:"receipt"`
	Cursor   string     `json:"cursor"`
	End      *exportEnd `json:"end"`
}

// An exportEnd is the last line.
type exportEnd struct {
	Rows       int64  `json:"rows"`
	Behind     int64  `json:"behind"`
	Origin     string `json:"origin"`
	Checkpoint string `json:"checkpoint"`
}

// forManifest returns what a manifest says of the end.
func (e *exportEnd) forManifest() export.End {
	end := export.End{Complete: e.Behind == 0, Created: time.Now(), Checkpoint: []byte(e.Checkpoint)}
	if e.Behind > 0 {
		end.Notes = []string{fmt.Sprintf("the log had %d newer events that it could not search yet", e.Behind)}
	}
	return end
}

// run hands on all rows. When the connection is lost it makes another, and goes
// on after the last cursor.
func (s *exportStream) run(ctx context.Context) (*exportEnd, error) {
	tries, retry := 0, firstExportRetry
	for {
		before := s.cursor
		end, err := s.listen(ctx)
		if err == nil {
			return end, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("interrupted after %s", eventsOf(s.rows))
		}
		if s.cursor != before {
			tries, retry = 0, firstExportRetry
		}
		if tries++; s.once || tries == exportTries || !isLost(err) {
			return nil, err
		}
		timer := time.NewTimer(retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		retry *= 2
	}
}

// A lostError means that the log is away, and may be back soon.
type lostError struct{ err error }

func (e *lostError) Error() string { return "the connection was lost: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

func isLost(err error) bool {
	if _, ok := errors.AsType[*lostError](err); ok {
		return true
	}
	e, ok := errors.AsType[*custody.Error](err)
	return ok && e.Status == http.StatusServiceUnavailable
}

// listen hands on what one connection brings.
func (s *exportStream) listen(ctx context.Context) (*exportEnd, error) {
	s.waiting = s.waiting[:0]
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := time.AfterFunc(exportSilence, cancel)
	defer watch.Stop()
	resp, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	lines := newLineReader(resp.Body, maxExportLine)
	for {
		line, err := lines.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the end has a line of its own
			}
			return nil, &lostError{err}
		}
		watch.Reset(exportSilence)
		var l exportLine
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("line %d of the log's answer: %w", lines.line, err)
		}
		switch {
		case l.End != nil:
			return l.End, s.finish(l.End)
		case l.Cursor != "":
			err = s.page(l.Cursor)
		case l.Seq != nil:
			err = s.take(&l)
		default:
			err = errors.New("it is no line of an export")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of the log's answer: %w", lines.line, err)
		}
	}
}

// open asks for what follows.
func (s *exportStream) open(ctx context.Context) (*http.Response, error) {
	j := s.job
	address := j.env.Getenv("CUSTODY_URL")
	if address == "" {
		address = defaultURL
	}
	key, err := apiKey(j.env)
	if err != nil {
		return nil, err
	}
	v := url.Values{"format": {s.format}, "order": {string(j.order)}}
	for name, value := range map[string]string{"q": j.query, "cursor": s.cursor} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if s.witnessed {
		v.Set("witnessed", "true")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(address, "/")+"/v1/export?"+v.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return nil, &lostError{err}
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxKeyFileBytes)) // the status remains
	e := &custody.Error{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode), Index: -1, Seq: -1}
	var p struct{ Type, Title, Detail, Hint, Limit string }
	if json.Unmarshal(body, &p) == nil && p.Title != "" {
		e.Type, e.Title, e.Detail, e.Hint, e.Limit = p.Type, p.Title, p.Detail, p.Hint, p.Limit
	}
	return nil, e
}

// take takes one event.
func (s *exportStream) take(l *exportLine) error {
	if s.receipt != nil {
		s.rows++
		s.show()
		return s.receipt(*l.Seq, l.Severity, l.Text, l.Receipt)
	}
	if len(s.waiting) == maxExportPage {
		return errors.New("there are too many events without a cursor")
	}
	record, err := event.DecodeRecord(l.Record)
	if err != nil {
		return err
	}
	r := &export.Row{Seq: *l.Seq, Record: record, Severity: l.Severity, Text: l.Text}
	for i := range record.Fields {
		if f := &record.Fields[i]; f.Name == "tag" {
			r.Class = catalogue.ClassOf(f.Text())
		}
	}
	s.waiting = append(s.waiting, r)
	return nil
}

// page hands on the rows so far.
func (s *exportStream) page(cursor string) error {
	if err := s.handOn(); err != nil {
		return err
	}
	s.cursor = cursor
	if s.mark == nil {
		return nil
	}
	return s.mark(cursor)
}

func (s *exportStream) handOn() error {
	for _, r := range s.waiting {
		if err := s.row(r); err != nil {
			return err
		}
	}
	s.rows += int64(len(s.waiting))
	s.waiting = s.waiting[:0]
	s.show()
	return nil
}

// finish hands on the last rows.
func (s *exportStream) finish(end *exportEnd) error {
	if end.Origin != s.job.origin {
		return fmt.Errorf("the log was %s, and is %s now", printable(s.job.origin), printable(end.Origin))
	}
	if err := s.handOn(); err != nil {
		return err
	}
	if b := s.job.bar; b != nil {
		b.show(max(s.rows, 1), max(s.rows, 1)) // events may have come or gone since they were counted
	}
	return nil
}

// show shows how far it is.
func (s *exportStream) show() {
	if b := s.job.bar; b != nil && s.rows < s.job.total {
		b.show(s.rows, s.job.total)
	}
}
