package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// Limits of looks at what is masked.
const (
	lookTime   = 15 * time.Minute // that one of them lasts
	maxLooking = 1000             // of all sessions; one more ends the oldest
	maxSeen    = 10_000           // events in one of them
)

// A grant names what a session may see in the clear: a view, or the page about
// one thing.
type grant struct {
	session string
	what    string
}

// A look is what was granted, and why.
type look struct {
	reader *reader.Reader // for whom nothing is masked
	reason string
	until  time.Time
	seen   map[journal.Seq]bool // events of which it is on record that they were looked at
}

// clear returns who v is for what, and until when they see it in the clear: a
// reader for whom nothing is masked, if they gave a reason; else their own, and
// the zero time.
func (c *Console) clear(v *visit, what string) (*reader.Reader, time.Time) {
	l := c.lookAt(v, what)
	if l == nil {
		return v.Reader, time.Time{}
	}
	return l.reader, l.until
}

// lookAt returns the look that v has at what, or nil.
func (c *Console) lookAt(v *visit, what string) *look {
	if v.Session == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.clears[grant{v.CSRF(), what}]
	if l == nil || time.Now().After(l.until) {
		return nil
	}
	return l
}

// clearEvent is clear for one event: one that was seen in any look of the session
// may be seen by itself.
func (c *Console) clearEvent(v *visit, seq journal.Seq) (*reader.Reader, time.Time) {
	if l := c.lookAt(v, eventURL(seq)); l != nil || v.Session == nil {
		return c.clear(v, eventURL(seq))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for g, l := range c.clears {
		if g.session == v.CSRF() && l.seen[seq] && now.Before(l.until) {
			return l.reader, l.until
		}
	}
	return v.Reader, time.Time{}
}

// saw records, before they are shown, that v looks at events in the clear of
// which that is not on record yet. It is nothing to do for who has no look.
func (c *Console) saw(v *visit, what string, events []*reading.Shown) error {
	l := c.lookAt(v, what)
	if l == nil {
		return nil
	}
	var fresh []journal.Seq
	c.mu.Lock()
	for _, e := range events {
		if !l.seen[e.Seq] {
			fresh = append(fresh, e.Seq)
		}
	}
	full := len(l.seen)+len(fresh) > maxSeen
	c.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	if full {
		return &state{
			Status: http.StatusForbidden, Title: "Too much for one reason",
			Sentence: "With this reason you have looked at " + number(maxSeen) + " events.", Hint: "Give a reason again for the next.",
		}
	}
	credential, from := c.whence(v)
	if _, err := c.Room.Reveal(v.Context(), v.Reader, reading.Look{Reason: l.reason, Events: fresh, Credential: credential, Context: from}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, seq := range fresh {
		l.seen[seq] = true
	}
	return nil
}

// A revealing is the form that asks why somebody looks, or what became of it.
type revealing struct {
	CSRF  string
	Page  string    // the address of what is looked at
	Until time.Time // that it is in the clear; zero if it is masked
	Most  int       // bytes of a reason
}

// revealing returns what a page says of what is masked on it; nil for those to
// whom nothing would be shown.
func (c *Console) revealing(v *visit, until time.Time) *revealing {
	if !v.Staff() || v.Session == nil {
		return nil
	}
	return &revealing{CSRF: v.CSRF(), Page: v.URL.RequestURI(), Until: until, Most: reading.MaxReasonBytes}
}

// reveal takes a reason to look at a page in the clear, and leads back to it.
func (c *Console) reveal(w http.ResponseWriter, v *visit) error {
	if v.Session == nil {
		return &state{Status: http.StatusForbidden, Title: "Sign in first", Signin: true, Sentence: "Only staff who are signed in can look at what is masked."}
	}
	if err := v.Session.CheckForm(v.Request); err != nil {
		return &state{
			Status: http.StatusForbidden, Title: "Not done", Sentence: "The form is not of this session, which may be over.",
			Hint: "Go back, reload the page, and try again.",
		}
	}
	page, what, look, err := c.asked(v, v.PostFormValue("page"))
	if err != nil {
		return err
	}
	look.Reason = v.PostFormValue("reason")
	look.Credential, look.Context = c.whence(v)
	clear, err := c.Room.Reveal(v.Context(), v.Reader, *look)
	if err != nil {
		return err
	}
	c.grant(grant{v.CSRF(), what}, clear, look)
	w.Header().Set("Location", page)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// grant keeps a look that is on record.
func (c *Console) grant(g grant, clear *reader.Reader, at *reading.Look) {
	now := time.Now()
	l := &look{reader: clear, reason: at.Reason, until: now.Add(lookTime), seen: make(map[journal.Seq]bool)}
	for _, seq := range at.Events {
		l.seen[seq] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	oldest := g
	for other, was := range c.clears {
		if now.After(was.until) {
			delete(c.clears, other)
		} else if first := c.clears[oldest]; first == nil || was.until.Before(first.until) {
			oldest = other
		}
	}
	if len(c.clears) >= maxLooking {
		delete(c.clears, oldest)
	}
	c.clears[g] = l
}

// asked says what is looked at on the page with an address: a name for it, and
// what is to be recorded.
func (c *Console) asked(v *visit, address string) (page, what string, look *reading.Look, err error) {
	fail := func(err error) (string, string, *reading.Look, error) { return "", "", nil, err }
	at, err := url.ParseRequestURI(address)
	if err != nil || at.Host != "" || at.Scheme != "" || !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") {
		return fail(badRequest("The form does not say at which page of this log you look."))
	}
	kind, id, _ := strings.Cut(strings.TrimPrefix(at.Path, "/"), "/")
	page = at.EscapedPath()
	if at.RawQuery != "" {
		page += "?" + at.RawQuery
	}
	what = at.EscapedPath()
	switch kind {
	case "search":
		s, err := viewOf(at.Query())
		if err != nil {
			return fail(err)
		}
		look, err = c.lookSearch(v, s)
		return page, s.about(), look, err
	case "event":
		seq, err := seqOf(id)
		if err != nil {
			return fail(err)
		}
		if _, err := c.Room.Event(v.Context(), v.Reader, seq); err != nil {
			return fail(err)
		}
		return page, what, &reading.Look{Events: []journal.Seq{seq}}, nil
	case "network":
		s, err := viewOf(url.Values{"q": {term("ip", id)}})
		if err != nil || s.Text == "" {
			return fail(badRequest("The form does not say at which network you look."))
		}
		return page, what, &reading.Look{Query: s.whole}, nil
	case "user", "project", "org", "token":
		if id != "" {
			return page, what, &reading.Look{Subject: event.Subject{Type: kind, ID: id}}, nil
		}
	}
	return fail(badRequest("Nothing is masked on the page that the form names."))
}

// lookSearch returns what a look at a search is at: its query, and those events
// of its page that are there.
func (c *Console) lookSearch(v *visit, s *view) (*reading.Look, error) {
	done, err := c.turn(v.Context(), v.SignedIn())
	if err != nil {
		return nil, err
	}
	defer done()
	look := &reading.Look{Query: s.whole}
	answer, err := c.Room.Search(v.Context(), v.Reader, s.request())
	if err != nil && !errors.Is(err, reading.ErrNone) {
		return nil, err
	}
	if answer != nil {
		for _, e := range answer.Events {
			look.Events = append(look.Events, e.Seq)
		}
	}
	return look, nil
}

// request returns what a view asks the room.
func (s *view) request() reading.Request {
	return reading.Request{Query: s.whole, Oldest: s.Oldest, After: s.cursor, Limit: pageEvents, Budget: store.DefaultBudget}
}

// seqOf reads the position of an event.
func seqOf(text string) (journal.Seq, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, errNone
	}
	return journal.Seq(n), nil
}
