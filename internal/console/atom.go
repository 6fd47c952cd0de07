package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
)

// feedURL returns the address of the feed of a project; "" if it has none.
func feedURL(id string) string {
	page := projectURL(id)
	if !strings.HasPrefix(page, "/project/") {
		return "" // a search: no path can name it
	}
	return "/feed" + page
}

// feedMaxAge is how long others may keep a feed.
const feedMaxAge = time.Minute

// feed answers with the newest public events of a project as Atom (RFC 4287).
//
// Programs that read feeds sign in nowhere, so who asks makes no difference: it
// shows what the public sees. The ID of an entry is made of the log's name and
// the position of the event, neither of which changes; so is that of the feed, of
// the log's name and the project's ID.
func (c *Console) feed(w http.ResponseWriter, v *visit) error {
	done, err := c.turn(v.Context(), false)
	if err != nil {
		return err
	}
	defer done()
	public := new(reader.Reader)
	p, err := dossier.NewProject(v.Context(), c.Room, public, reader.Ref{Type: "project", ID: v.PathValue("id")}, dossier.Options{})
	if err != nil {
		return plainThing(err)
	}
	data, err := c.feedOf(p, c.addressOf(v.Request))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(feedMaxAge.Seconds())))
	if v.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "application/atom+xml; charset=utf-8")
	w.Write(data)
	return nil
}

// addressOf returns the address of this log: the one that people use, or else as
// the client reached it.
func (c *Console) addressOf(r *http.Request) string {
	switch {
	case c.Address != "":
		return c.Address
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// An atomFeed is a feed, as RFC 4287 has it.
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	Base    string      `xml:"xml:base,attr"`
	Lang    string      `xml:"xml:lang,attr"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Sub     string      `xml:"subtitle"`
	Updated string      `xml:"updated"`
	Author  atomAuthor  `xml:"author"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomAuthor struct {
	Name string `xml:"name"`
}

type atomLink struct {
	Rel   string `xml:"rel,attr"`
	Type  string `xml:"type,attr"`
	Title string `xml:"title,attr,omitempty"`
	Href  string `xml:"href,attr"`
}

type atomEntry struct {
	ID        string     `xml:"id"`
	Title     string     `xml:"title"`
	Updated   string     `xml:"updated"`
	Published string     `xml:"published"`
	Links     []atomLink `xml:"link"`
	Category  *atomTerm  `xml:"category"`
	Content   atomText   `xml:"content"`
}

type atomTerm struct {
	Term string `xml:"term,attr"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

// feedOf returns the feed of a project. Base is the address of the log, without a
// slash at its end.
func (c *Console) feedOf(p *dossier.Project, base string) ([]byte, error) {
	origin := c.Keys().Origin()
	f := atomFeed{
		Base: base + "/", Lang: "en", ID: stableID(origin, "project", []byte(p.Ref.ID)), Title: feedText(p.Name + ": what happened to it"),
		Sub:     feedText("The public events of " + p.Ref.ID + " in the log " + origin),
		Updated: atomTime(time.Unix(0, 0)), Author: atomAuthor{feedText(origin)},
		Links: []atomLink{
			{Rel: "self", Type: "application/atom+xml", Href: base + feedURL(p.Ref.ID)},
			{Rel: "alternate", Type: "text/html", Href: base + projectURL(p.Ref.ID)},
		},
	}
	var newest time.Time
	for _, e := range p.History.Events {
		at := recordedAt(e)
		if at.After(newest) {
			newest = at
			f.Updated = atomTime(at)
		}
		f.Entries = append(f.Entries, entryOf(origin, base, e, at))
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", " ")
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("console: feed of %q: %w", p.Ref.ID, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func entryOf(origin, base string, e *reading.Shown, at time.Time) atomEntry {
	page := base + eventURL(e.Seq)
	tag := e.Fields.Text("tag")
	return atomEntry{
		ID: stableID(origin, "event", seqBytes(e.Seq)), Title: feedText(e.Text), Updated: atomTime(at), Published: atomTime(e.Time()),
		Links: []atomLink{
			{Rel: "alternate", Type: "text/html", Href: page},
			{Rel: "related", Type: "text/plain", Title: "Receipt", Href: base + receiptURL(e.Seq)},
		},
		Category: &atomTerm{feedText(tag)},
		Content:  atomText{Type: "text", Text: feedText(e.Text + "\n\nEvent " + strconv.FormatInt(int64(e.Seq), 10) + " of " + origin + ", " + tag + ".")},
	}
}

// recordedAt returns when the log learned of an event: one that was loaded later
// is new to who reads a feed.
func recordedAt(e *reading.Shown) time.Time {
	if f, ok := e.Fields.Get("received"); ok && !f.Time().IsZero() {
		return f.Time()
	}
	return e.Time()
}

// atomTime returns a time as RFC 3339 has it. Years of other than four digits,
// which a source may have sent, have no such form; nothing is as old as that.
func atomTime(t time.Time) string {
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		t = time.Unix(0, 0).UTC()
	}
	return t.Format(time.RFC3339Nano)
}

// feedText returns text without what XML cannot hold.
func feedText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// stableID returns a URN for something in the log with the given name, the same
// for ever: a UUID of version 8 (RFC 9562) made of a hash.
func stableID(origin, kind string, id []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "custody feed\x00%s\x00%s\x00", origin, kind)
	h.Write(id)
	u := h.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func seqBytes(seq journal.Seq) []byte { return binary.BigEndian.AppendUint64(nil, uint64(seq)) }
