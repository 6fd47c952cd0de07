package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
)

// looks returns the events about looks at what is masked.
func (b *bench) looks() (list []event.Fields) {
	b.t.Helper()
	b.settled()
	records, err := b.journal.Read(0, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range records {
		record, err := event.DecodeRecord(r.Body)
		if err != nil {
			b.t.Fatal(err)
		}
		if f := record.Open(); f.Text("tag") == "audit:reveal_pii" {
			list = append(list, f)
		}
	}
	return list
}

// Who gives a reason sees what is masked: in that view, in that session, for
// fifteen minutes; and it is on record before, with the reason and the person.
func TestReveal(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin, other := b.as("admin"), b.as("auditor")
		const page, secret = "/search?q=token:tok-13+tag:project:release:add", "203.0.113.77"
		keeps(t, admin.page(page, http.StatusOK), secret)
		w := admin.reveal(page, "case 2026-17")
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != page {
			t.Fatalf("reveal = %d, to %q: %s", w.Code, w.Header().Get("Location"), text(w.Body.String()))
		}
		looks := b.looks()
		if len(looks) != 1 {
			t.Fatalf("there are %d events about looks, want 1", len(looks))
		}
		if l := looks[0]; l.Text("metadata.reason") != "case 2026-17" || l.Text("actor.id") != "admin-7" || l.Text("subjects.0.id") != "user-alice" {
			t.Errorf("the look is on record as %v", l.Event())
		}
		clear := admin.page(page, http.StatusOK)
		if !strings.Contains(clear, secret) {
			t.Error("the page shows nothing more")
		}
		says(t, clear, "Your look was recorded, with your reason. The people concerned will see it.")
		if !strings.Contains(admin.page("/event/19", http.StatusOK), secret) {
			t.Error("an event that was looked at is masked by itself")
		}
		if n := len(b.looks()); n != 1 {
			t.Errorf("looking again at the same made %d events about looks", n)
		}
		for name, masked := range map[string]string{
			"another view":          admin.page("/search?q=token:tok-13+tag:user:*", http.StatusOK),
			"another event":         admin.page("/event/14", http.StatusOK),
			"another session":       other.page(page, http.StatusOK),
			"the same admin, again": b.as("admin").page(page, http.StatusOK),
		} {
			if strings.Contains(masked, secret) {
				t.Errorf("%s shows what is masked", name)
			}
		}
		time.Sleep(16 * time.Minute)
		keeps(t, admin.page(page, http.StatusOK), secret)
	})
}

// Events that come into a view after somebody gave a reason are on record before
// they are shown: otherwise whom they are about would never learn of it.
func TestRevealCountsWhatComesLater(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		const page = "/search?q=tag:user:login:success"
		admin.reveal(page, "case 1")
		b.record(`{"id":"later","tag":"user:login:success","time":"2026-04-01T00:00:00Z","actor":{"type":"user","id":"user-dave","name":"dave"},"subjects":[{"type":"user","id":"user-dave","name":"dave"}],"context":{"ip":"203.0.113.5"}}`)
		if !strings.Contains(admin.page(page, http.StatusOK), "203.0.113.5") {
			t.Error("the new event is masked")
		}
		looks := b.looks()
		if len(looks) != 2 || looks[1].Text("subjects.0.id") != "user-dave" || looks[1].Text("metadata.reason") != "case 1" {
			t.Errorf("the new event is on record in none of %d looks", len(looks))
		}
	})
}

// Nothing is shown for a look that is not on record, or that nobody may make; and
// no page of another site makes one.
func TestRevealRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin, alice := b.as("admin"), b.as("alice")
		good := func() url.Values {
			return url.Values{"page": {"/event/19"}, "reason": {"case 1"}, "csrf": {admin.csrf()}}
		}
		with := func(name, value string) url.Values {
			form := good()
			form.Set(name, value)
			return form
		}
		for _, c := range []struct {
			name string
			who  *browser
			form url.Values
			code int
		}{
			{"no reason", admin, with("reason", ""), 400},
			{"a blank reason", admin, with("reason", " \t"), 400},
			{"a long reason", admin, with("reason", strings.Repeat("x", 501)), 400},
			{"no form of this session", admin, with("csrf", ""), 403},
			{"the form of another", admin, with("csrf", alice.csrf()), 403},
			{"the public", b.as(""), good(), 403},
			{"somebody who is no staff", alice, with("csrf", alice.csrf()), 403},
			{"no page", admin, with("page", ""), 400},
			{"a page elsewhere", admin, with("page", "https://elsewhere.example/event/19"), 400},
			{"a page elsewhere, shorter", admin, with("page", "//elsewhere.example/event/19"), 400},
			{"a page on which nothing is masked", admin, with("page", "/"), 400},
			{"an event that is not there", admin, with("page", "/event/999"), 404},
			{"no query", admin, with("page", "/search?q=("), 400},
		} {
			if w := c.who.post("/reveal", c.form); w.Code != c.code {
				t.Errorf("%s = %d, want %d: %.300s", c.name, w.Code, c.code, text(w.Body.String()))
			}
		}
		if w := admin.get("/reveal?" + good().Encode()); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("an address makes a look: %d", w.Code)
		}
		if n := len(b.looks()); n != 0 {
			t.Errorf("%d looks are on record that were refused", n)
		}
		keeps(t, admin.page("/event/19", http.StatusOK), "203.0.113.77")
		alice19 := alice.page("/event/19", http.StatusOK) // it is hers
		if !strings.Contains(alice19, "203.0.113.77") {
			t.Error("alice does not see from where her own account published")
		}
	})
}
