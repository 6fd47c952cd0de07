package retain_test

import (
	"bytes"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/retain"
)

// A world is a disk that loses power.
type world struct {
	t     *rapid.T
	disk  *disk.Mem
	after *disk.Mem // what is left after the power cut
}

func newWorld(t *rapid.T) *world { return &world{t: t, disk: new(disk.Mem)} }

// cutAfter cuts the power after so many operations on the disk: from then on
// all fail.
func (w *world) cutAfter(operations int) {
	w.disk.Fail = func(string, string) error {
		if operations--; operations >= 0 {
			return nil
		}
		w.cut()
		return disk.ErrInjected
	}
}

func (w *world) cut() {
	if w.after == nil {
		w.after = w.disk.Crash(func(n int) int { return rapid.IntRange(0, n).Draw(w.t, "kept") })
	}
}

// restart returns the disk as the next process finds it.
func (w *world) restart() *disk.Mem {
	w.cut()
	w.disk, w.after = w.after, nil
	return w.disk
}

// parse is the query language.
func parse(text string, now time.Time) (retain.Matcher, error) {
	q, err := query.Parse(text, now)
	if err != nil {
		return nil, err
	}
	return matcher{q}, nil
}

// A matcher is a query about what is in an event itself.
type matcher struct{ query *query.Query }

func (m matcher) Match(fields event.Fields) bool { return m.query.Match(fields, nil) }

// recorded returns the record of an event, with what the catalogue calls
// personal private.
func recorded(t rapid.TB, n byte, e *event.Event) []byte {
	t.Helper()
	if e.ID == "" {
		e.ID = "1"
	}
	if e.Time.IsZero() {
		e.Time = noon
	}
	fields, err := e.Fields()
	if err != nil {
		t.Fatal(err)
	}
	c := load(t)
	for i := range fields {
		f := &fields[i]
		head, member := f.Name, ""
		if at := strings.LastIndexByte(head, '.'); at >= 0 {
			head, member = head[:at], head[at+1:]
		}
		switch {
		case head == "metadata":
			f.Private = c.PersonalMetadata(e.Tag, member)
		case strings.HasPrefix(head, "changes.") && member != "field":
			f.Private = c.PersonalChange(e.Tag, fields.Text(head+".field"))
		default:
			f.Private = c.PersonalParty(e.Tag, f.Name, fields.Text(head+".type"))
		}
	}
	s := event.Secrets{Open: [16]byte{n, 1, 2}, Private: [16]byte{n, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, n}}
	body, _ := event.AppendRecord(nil, fields, &s)
	return body
}

func decode(t rapid.TB, body []byte) *event.Record {
	t.Helper()
	r, err := event.DecodeRecord(body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// holds reports whether any file on m holds text.
func holds(t rapid.TB, m *disk.Mem, text string) bool {
	t.Helper()
	names, err := m.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := disk.ReadFile(m, name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(text)) || bytes.Contains([]byte(name), []byte(text)) {
			return true
		}
	}
	return false
}
