package console_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

const feedPath = "/feed/project/pkg:npm/demo-http"

// A feed is Atom as RFC 4287 has it, so that any program can read it: well formed,
// with all that must be there, once, and nothing that must not.
func TestFeedIsAtom(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		w := b.as("").get(feedPath)
		if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || got != "application/atom+xml; charset=utf-8" {
			t.Fatalf("the feed = %d %s", w.Code, got)
		}
		feed := parseAtom(t, w.Body.Bytes())
		if len(feed.Entries) != 15 {
			t.Errorf("%d entries, want 15: what the public sees of the project", len(feed.Entries))
		}
		if feed.Links["self"] != "http://example.com"+feedPath || feed.Links["alternate"] != "http://example.com"+project {
			t.Errorf("links %v", feed.Links)
		}
		newest := time.Time{}
		for _, e := range feed.Entries {
			for _, link := range []string{e.Links["alternate"], e.Links["related"]} {
				if got := b.as("").get(strings.TrimPrefix(link, "http://example.com")); got.Code != http.StatusOK {
					t.Errorf("%s = %d", link, got.Code)
				}
			}
			if e.Updated.After(newest) {
				newest = e.Updated
			}
		}
		if !feed.Updated.Equal(newest) {
			t.Errorf("the feed was updated %v, its newest entry %v", feed.Updated, newest)
		}
		keeps(t, w.Body.String(), attacker, home, "tok-13", "totp", "registry security", newMail)
	})
}

// Programs know an entry by its ID: one that changes would be shown as new, and one
// that two entries have would hide an event.
func TestFeedIDsAreStable(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		before := parseAtom(t, b.as("").get(feedPath).Body.Bytes())
		b.record(`{"id":"late","tag":"project:release:add","time":"2026-04-01T00:00:00Z","actor":{"type":"user","id":"user-alice","name":"alice"},"subjects":[{"type":"project","id":"pkg:npm/demo-http","name":"demo-http"}],"metadata":{"version":"2.0.0"}}`)
		after := parseAtom(t, b.as("owner").get(feedPath).Body.Bytes())
		if before.ID != after.ID || len(after.Entries) != len(before.Entries)+1 {
			t.Errorf("%s with %d entries became %s with %d", before.ID, len(before.Entries), after.ID, len(after.Entries))
		}
		for i, e := range before.Entries {
			if after.Entries[i+1].ID != e.ID {
				t.Errorf("entry %d was %s, is %s", i, e.ID, after.Entries[i+1].ID)
			}
		}
		other := parseAtom(t, b.as("").get("/feed/project/pkg:npm/demo-cookies").Body.Bytes())
		if other.ID == after.ID || other.Entries[0].ID == after.Entries[0].ID {
			t.Error("two projects share an ID")
		}
	})
}

// A feed shows what the public sees, to whomever: programs keep it, and pass it on.
func TestFeedIsThePublics(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		want := b.as("").get(feedPath).Body.String()
		for _, who := range []string{"owner", "alice", "admin", "auditor"} {
			if got := b.as(who).get(feedPath).Body.String(); got != want {
				t.Errorf("%s has another feed", who)
			}
		}
	})
}

// Who has the feed already is not sent it again.
func TestFeedIsSentOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		public := b.as("")
		first := public.get(feedPath)
		again := httptest.NewRequestWithContext(t.Context(), http.MethodGet, feedPath, http.NoBody)
		again.Header.Set("If-None-Match", first.Header().Get("ETag"))
		if w := public.send(again); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
			t.Errorf("the same feed again = %d with %d bytes", w.Code, w.Body.Len())
		}
		if w := public.get("/feed/project/nothing"); w.Code != http.StatusNotFound {
			t.Errorf("the feed of nothing = %d", w.Code)
		}
	})
}

// What somebody called a version must not break the feed for all who read it.
func TestFeedOfHostileText(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		for i, name := range []string{"]]>", "<entry/>", "&amp;&#0;", "\u0001\u000b", "\ufffe\uffff", `"'`, "\u202E", "<?xml?>"} {
			b.record(`{"id":"x-` + string(rune('a'+i)) + `","tag":"project:release:add","time":"2026-03-31T00:00:00Z","actor":{"type":"user","id":"u","name":` + quoted(name) + `},"subjects":[{"type":"project","id":"p","name":` + quoted(name) + `}],"metadata":{"version":` + quoted(name) + `}}`)
		}
		feed := parseAtom(t, b.as("").get("/feed/project/p").Body.Bytes())
		if len(feed.Entries) != 8 {
			t.Errorf("%d entries, want 8", len(feed.Entries))
		}
	})
}

// A parsed is a feed, or an entry of one.
type parsed struct {
	ID      string
	Updated time.Time
	Links   map[string]string // by rel
	Entries []parsed
}

// allowed says how often an element may stand in another: at least and at most.
var allowed = map[string]map[string][2]int{
	"feed": {"id": {1, 1}, "title": {1, 1}, "subtitle": {0, 1}, "updated": {1, 1}, "author": {1, 1}, "link": {1, 9}, "entry": {0, 1000}},
	"entry": {
		"id": {1, 1}, "title": {1, 1}, "updated": {1, 1}, "published": {0, 1}, "link": {1, 9}, "category": {0, 9}, "content": {0, 1},
	},
	"author": {"name": {1, 1}},
}

var urn = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// parseAtom reads a feed as strictly as RFC 4287 is.
func parseAtom(t *testing.T, data []byte) parsed {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(data))
	d.Strict = true
	for {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("the feed: %v in %.500s", err, data)
		}
		if start, ok := token.(xml.StartElement); ok {
			feed := parseElement(t, d, start)
			if token, err := d.Token(); err == nil {
				if space, ok := token.(xml.CharData); !ok || strings.TrimSpace(string(space)) != "" {
					t.Errorf("after the feed comes %v", token)
				}
			} else if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			return feed
		}
	}
}

func parseElement(t *testing.T, d *xml.Decoder, start xml.StartElement) parsed {
	t.Helper()
	name, rules := start.Name.Local, allowed[start.Name.Local]
	p, found := parsed{Links: make(map[string]string)}, make(map[string]int)
	for {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("in %s: %v", name, err)
		}
		switch token := token.(type) {
		case xml.EndElement:
			for child, often := range rules {
				if found[child] < often[0] || found[child] > often[1] {
					t.Errorf("%s has %d of %s, want %d to %d", name, found[child], child, often[0], often[1])
				}
			}
			return p
		case xml.CharData:
			if strings.TrimSpace(string(token)) != "" {
				t.Errorf("%s has the text %q", name, token)
			}
		case xml.StartElement:
			child := token.Name.Local
			found[child]++
			if _, ok := rules[child]; !ok || token.Name.Space != "http://www.w3.org/2005/Atom" {
				t.Errorf("%s has a %s of %s", name, child, token.Name.Space)
			}
			if child == "entry" || child == "author" {
				if inner := parseElement(t, d, token); child == "entry" {
					p.Entries = append(p.Entries, inner)
				}
				continue
			}
			p.take(t, d, token)
		}
	}
}

// take reads an element that has text only.
func (p *parsed) take(t *testing.T, d *xml.Decoder, start xml.StartElement) {
	t.Helper()
	var value struct {
		Text string `xml:",chardata"`
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	}
	if err := d.DecodeElement(&value, &start); err != nil {
		t.Fatal(err)
	}
	switch start.Name.Local {
	case "id":
		if p.ID = value.Text; !urn.MatchString(p.ID) {
			t.Errorf("the ID %q is no URN", p.ID)
		}
	case "updated", "published":
		at, err := time.Parse(time.RFC3339, value.Text)
		if err != nil {
			t.Errorf("%s: %v", start.Name.Local, err)
		}
		if start.Name.Local == "updated" {
			p.Updated = at
		}
	case "link":
		if p.Links[value.Rel] != "" || value.Href == "" {
			t.Errorf("a second link of %q, or an empty one", value.Rel)
		}
		p.Links[value.Rel] = value.Href
	case "title":
		if value.Text == "" {
			t.Error("an empty title")
		}
	}
}
