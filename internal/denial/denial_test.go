package denial_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/denial"
)

// A log keeps what is recorded.
type log struct {
	mu     sync.Mutex
	events []*event.Event
	fail   error
	hold   chan struct{} // recording waits until it is closed, if not nil
}

func (l *log) record(ctx context.Context, e *event.Event) error {
	l.mu.Lock()
	hold := l.hold
	l.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.events = append(l.events, e)
	return nil
}

func (l *log) set(fail error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = fail
}

// say returns the events as lines, and forgets them.
func (l *log) say() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, e := range l.events {
		about := ""
		if len(e.Subjects) > 0 {
			about = " " + e.Subjects[0].ID
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %d %s%s", strings.TrimPrefix(e.Tag, "audit:"), e.Metadata["way"], e.Metadata["why"], e.Metadata["count"], e.Context.IP, about))
	}
	l.events = nil
	return strings.Join(lines, "\n")
}

// start runs a book; stop ends it and waits.
func start(t *testing.T, l *log) (b *denial.Book, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	b = denial.New(slog.New(slog.NewTextHandler(t.Output(), nil)), l.record)
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	return b, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
}

func from(address string) denial.Attempt {
	return denial.Attempt{Way: denial.Key, Why: denial.Forged, Address: netip.MustParseAddr(address), UserAgent: "curl/8", Origin: "api"}
}

// The first of a series is on record at once, the others as a count a minute
// later; and a place that was quiet for a minute begins anew.
func TestAttemptsAreFolded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		b, stop := start(t, l)
		defer stop()
		want := func(when, want string) {
			t.Helper()
			synctest.Wait()
			if got := l.say(); got != want {
				t.Errorf("%s recorded:\n%s\nwant:\n%s", when, got, want)
			}
		}
		b.Note(from("203.0.113.9"))
		want("the first", "access:deny key forged 1 203.0.113.9")
		for range 1000 {
			b.Note(from("203.0.113.9"))
		}
		want("a thousand more", "")
		time.Sleep(denial.Interval - time.Nanosecond)
		want("just within the minute", "")
		time.Sleep(time.Nanosecond)
		want("a minute later", "access:deny key forged 1000 203.0.113.9")
		b.Note(from("203.0.113.9"))
		want("within the next minute", "")
		time.Sleep(10 * denial.Interval)
		want("ten minutes later", "access:deny key forged 1 203.0.113.9")
		b.Note(from("203.0.113.9"))
		want("after a pause", "access:deny key forged 1 203.0.113.9")
	})
}

// What differs in what matters is told apart; addresses of one client are not.
func TestWhatIsAlike(t *testing.T) {
	scope, token, signin := from("203.0.113.9"), from("203.0.113.9"), from("203.0.113.9")
	scope.Why, token.Way, signin.Signin = denial.Scope, denial.Token, true
	for _, c := range []struct {
		name   string
		a, b   denial.Attempt
		events int
	}{
		{"the same", from("203.0.113.9"), from("203.0.113.9"), 1},
		{"another reason", from("203.0.113.9"), scope, 2},
		{"another way", from("203.0.113.9"), token, 2},
		{"a sign-in", from("203.0.113.9"), signin, 2},
		{"another address", from("203.0.113.9"), from("203.0.113.10"), 2},
		{"IPv4 written as IPv6", from("203.0.113.9"), from("::ffff:203.0.113.9"), 1},
		{"one network of IPv6", from("2001:db8::1"), from("2001:db8::ffff:1"), 1},
		{"two networks of IPv6", from("2001:db8::1"), from("2001:db8:0:1::1"), 2},
		{"another zone", from("fe80::1%a"), from("fe80::1%b"), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(log)
				b, stop := start(t, l)
				defer stop()
				b.Note(c.a)
				synctest.Wait()
				b.Note(c.b)
				synctest.Wait()
				if got := l.say(); strings.Count(got, "\n")+1 != c.events {
					t.Errorf("%d events wanted, recorded:\n%s", c.events, got)
				}
			})
		})
	}
}

// A flood from everywhere does not fill the log, and every attempt is counted.
func TestFloodIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		b, stop := start(t, l)
		const clients, minutes = 5000, 3
		for range minutes {
			for i := range clients {
				b.Note(from(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()))
			}
			time.Sleep(denial.Interval)
			synctest.Wait()
		}
		stop()
		events, attempts := len(l.events), 0
		for _, e := range l.events {
			attempts += e.Metadata["count"].(int)
			if e.Context.IP == "" && e.Metadata["count"].(int) < 2 {
				t.Errorf("an event without an address is about %d attempts", e.Metadata["count"])
			}
		}
		if most := (minutes + 1) * (denial.MaxAddresses + 1); events > most || attempts != clients*minutes {
			t.Errorf("%d events about %d attempts, want at most %d about %d", events, attempts, most, clients*minutes)
		}
	})
}

// An event about several attempts accuses nobody of what others did.
func TestFoldNamesWhatAllHaveInCommon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		b, stop := start(t, l)
		defer stop()
		named := func(id, agent string) denial.Attempt {
			a := from("203.0.113.9")
			a.About, a.Actor, a.UserAgent = event.Subject{Type: "key", ID: id}, event.Party{Type: "service", ID: id}, agent
			return a
		}
		next := func() *event.Event {
			time.Sleep(denial.Interval)
			synctest.Wait()
			return l.events[len(l.events)-1]
		}
		b.Note(named("k1", "a"))
		synctest.Wait()
		b.Note(named("k1", "a"))
		b.Note(named("k1", "a"))
		if e := next(); len(e.Subjects) != 1 || e.Subjects[0].ID != "k1" || e.Actor.ID != "k1" || e.Context.UserAgent != "a" || e.Metadata["since"] == nil {
			t.Errorf("of two alike: %+v", e)
		}
		b.Note(named("k1", "a"))
		b.Note(named("k2", "b"))
		b.Note(named("k1", "a"))
		if e := next(); len(e.Subjects) != 0 || e.Actor != (event.Party{Type: "anonymous"}) || e.Context.UserAgent != "" || e.Context.IP == "" {
			t.Errorf("of two that differ: %+v", e)
		}
	})
}

// Who asks does not wait for a log that hangs, and when the log stops it does not
// wait for ever either.
func TestNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &log{hold: make(chan struct{})}
		b, stop := start(t, l)
		began := time.Now()
		for range 100 {
			b.Note(from("203.0.113.9"))
			synctest.Wait()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Note waited for %v", took)
		}
		stop()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("the book ended after %v, want 2s", took)
		}
	})
}

// What is noted before the log stops is recorded, whenever it is due.
func TestStopFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		b, stop := start(t, l)
		b.Note(from("203.0.113.9"))
		synctest.Wait()
		l.say()
		b.Note(from("203.0.113.9"))
		b.Note(from("203.0.113.9"))
		stop()
		if got := l.say(); got != "access:deny key forged 2 203.0.113.9" {
			t.Errorf("at the end %q was recorded", got)
		}
	})
}

// What could not be recorded is recorded later, with what came since, once.
func TestFailureIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &log{fail: errors.New("away")}
		b, stop := start(t, l)
		defer stop()
		b.Note(from("203.0.113.9"))
		time.Sleep(time.Second)
		b.Note(from("203.0.113.10"))
		synctest.Wait()
		b.Note(from("203.0.113.9"))
		time.Sleep(denial.Interval / 2)
		l.set(nil)
		time.Sleep(3 * denial.Interval)
		synctest.Wait()
		if got := l.say(); got != "access:deny key forged 2 203.0.113.9\naccess:deny key forged 1 203.0.113.10" {
			t.Errorf("after the failure was recorded:\n%s", got)
		}
	})
}

// What strangers send cannot make an event that the log refuses: it would be
// tried again for ever.
func TestHostileTextFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		b, stop := start(t, l)
		defer stop()
		a := denial.Attempt{Way: denial.OIDC, Why: denial.Foreign, UserAgent: strings.Repeat("ä\xff", 50000)}
		a.About = event.Subject{Type: "user", ID: strings.Repeat("\xc3", 1000), Name: strings.Repeat("x", 100000)}
		b.Note(a)
		synctest.Wait()
		if len(l.events) != 1 {
			t.Fatalf("%d events, want 1", len(l.events))
		}
		e := l.events[0]
		e.ID, e.Time = "1", time.Now()
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := event.Parse(data); err != nil {
			t.Errorf("the event is refused: %v", err)
		}
	})
}
