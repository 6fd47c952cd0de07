package signin_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/catalogue"
)

// A program that opens the address to show a preview uses nothing up; the first
// person who presses the button is in, and nobody after them.
func TestLinkIsGoodOnce(t *testing.T) {
	h := newHouse(t, nil)
	link := h.Link(admin)
	for range 3 {
		if answer := h.do("GET", link.Path, nil); answer.StatusCode != http.StatusOK || len(answer.Cookies()) != 0 {
			t.Fatalf("opening it gave %d and %v", answer.StatusCode, answer.Cookies())
		}
	}
	answer := h.do("POST", link.Path, nil)
	who, session, _ := h.who(answer.Cookies()...)
	if session == nil || who.Staff != catalogue.Admin|catalogue.Auditor || who.By != admin || who.Clear {
		t.Errorf("the first got %d and is %+v, want an administrator and auditor in the name of admin", answer.StatusCode, who)
	}
	if answer := h.do("POST", link.Path, nil); answer.StatusCode != http.StatusForbidden || len(answer.Cookies()) != 0 {
		t.Errorf("the second got %d and %v, want 403 and nothing", answer.StatusCode, answer.Cookies())
	}
	if e := h.events[0]; e.Tag != "audit:signin:success" || e.Metadata["way"] != "link" || e.Actor != admin || e.Context.IP != "192.0.2.7" {
		t.Errorf("recorded %+v", e)
	}
	if got := h.whys(); len(got) != 1 || got[0] != "link unknown" {
		t.Errorf("refused %q, want one unknown link", got)
	}
}

// A link in an old message opens nothing.
func TestLinkExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		good, late := h.Link(admin), h.Link(admin)
		time.Sleep(15*time.Minute - time.Second)
		if answer := h.do("POST", good.Path, nil); answer.StatusCode != http.StatusSeeOther {
			t.Errorf("just before its end: %d, want 303", answer.StatusCode)
		}
		time.Sleep(time.Second)
		if answer := h.do("POST", late.Path, nil); answer.StatusCode != http.StatusForbidden || !late.Expires.Equal(time.Now()) {
			t.Errorf("at its end: %d, want 403", answer.StatusCode)
		}
	})
}

// Somebody who asks for links without end makes the first ones worthless, and
// uses no more memory.
func TestLinksAreBounded(t *testing.T) {
	h := newHouse(t, nil)
	first := h.Link(admin)
	for range 16 {
		h.Link(admin)
	}
	if answer := h.do("POST", first.Path, nil); answer.StatusCode != http.StatusForbidden {
		t.Errorf("the first of 17 links gave %d, want 403", answer.StatusCode)
	}
}

// What is shown of a link is the same for one that there is and one that there is
// not, and no cache keeps it.
func TestLinkPageTellsNothing(t *testing.T) {
	h := newHouse(t, nil)
	real, invented := h.do("GET", h.Link(admin).Path, nil), h.do("GET", "/signin/link/"+strings.Repeat("a", 43), nil)
	if real.Body != invented.Body || real.StatusCode != invented.StatusCode {
		t.Error("the page tells whether there is such a link")
	}
	if got := real.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q, want no-store", got)
	}
}
