package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/proxy"
)

var errDown = errors.New("the log is down")

// A memoryLog is a log of what the strict reader of events accepts.
type memoryLog struct {
	mu      sync.Mutex
	events  []*event.Event
	json    bytes.Buffer
	down    bool
	refuse  string               // a tag that the log does not accept
	hook    func(e *event.Event) // called before e is accepted
	changed chan struct{}
}

func newMemoryLog() *memoryLog { return &memoryLog{changed: make(chan struct{})} }

func (l *memoryLog) Record(_ context.Context, events ...*event.Event) error {
	l.mu.Lock()
	hook := l.hook
	l.mu.Unlock()
	for _, e := range events {
		if hook != nil {
			hook(e)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return errDown
	}
	var accepted []*event.Event
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil || e.Tag == l.refuse {
			return errors.Join(proxy.ErrRefused, err)
		}
		fields, err := event.Parse(data)
		if err != nil {
			return errors.Join(proxy.ErrRefused, err)
		}
		if slices.ContainsFunc(l.events, func(old *event.Event) bool { return old.ID == e.ID }) {
			continue
		}
		l.json.Write(append(data, '\n'))
		accepted = append(accepted, fields.Event())
	}
	l.events = append(l.events, accepted...)
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

func (l *memoryLog) History(context.Context) iter.Seq2[*event.Event, error] {
	return func(yield func(*event.Event, error) bool) {
		for _, e := range slices.Backward(l.all()) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (l *memoryLog) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *memoryLog) all() []*event.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// acts returns the events that are not about the proxy itself.
func (l *memoryLog) acts() []*event.Event {
	return slices.DeleteFunc(l.all(), func(e *event.Event) bool { return strings.HasPrefix(e.Tag, "audit:proxy:") })
}

func (l *memoryLog) tags() (tags []string) {
	for _, e := range l.all() {
		tags = append(tags, e.Tag+" "+string(e.Outcome))
	}
	return tags
}

// wait returns the acts once there are n of them.
func (l *memoryLog) wait(t *testing.T, n int) []*event.Event {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if acts := l.acts(); len(acts) >= n {
			return acts
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the log has %q, want %d acts", l.tags(), n)
		}
	}
}

// A memorySpool keeps what the log could not take.
type memorySpool struct {
	mu     sync.Mutex
	events []*event.Event
	full   bool
}

func (s *memorySpool) Put(e *event.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return errors.New("spool: full")
	}
	s.events = append(s.events, e)
	return nil
}

func (s *memorySpool) Behind() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

func (s *memorySpool) tags() (tags []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		tags = append(tags, e.Tag+" "+string(e.Outcome))
	}
	return tags
}

// drain hands everything to l.
func (s *memorySpool) drain(t *testing.T, l *memoryLog) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := l.Record(t.Context(), s.events...); err != nil {
		t.Fatal(err)
	}
	s.events = nil
}
