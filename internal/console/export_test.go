package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/custody-log/custody/event"
)

// An export has each event of the view, and no more of it than the page shows; and
// that it was made is on record.
func TestExport(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		admin := b.as("admin")
		const q = "q=token:tok-13"
		all := strings.Count(admin.page("/search?"+q, http.StatusOK), `<li id="e`)
		for format, rows := range map[string]func(string) int{
			"ndjson":  func(body string) int { return strings.Count(body, "\n") },
			"csv":     func(body string) int { return strings.Count(body, "\n") - 1 },
			"parquet": func(body string) int { return map[bool]int{true: all}[strings.HasPrefix(body, "PAR1")] },
		} {
			w := admin.get("/export?" + q + "&format=" + format)
			body := w.Body.String()
			if w.Code != http.StatusOK || rows(body) != all || all == 0 {
				t.Errorf("%s = %d with %d rows, want %d", format, w.Code, rows(body), all)
			}
			if want := `filename="export.` + format + `"`; !strings.Contains(w.Header().Get("Content-Disposition"), want) {
				t.Errorf("%s: Content-Disposition = %q", format, w.Header().Get("Content-Disposition"))
			}
			keeps(t, body, "203.0.113.77", "Mozilla")
		}
		b.settled()
		records, err := b.journal.Read(b.journal.Size()-3, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			record, err := event.DecodeRecord(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			f := record.Open()
			if f.Text("tag") != "audit:export" || f.Text("actor.id") != "admin-7" || f.Text("metadata.query") != "token:tok-13" || f.Text("outcome") != "success" {
				t.Errorf("the export is on record as %v", f.Event())
			}
		}
	})
}

// Exports are for those who are signed in, and who may search; a look in the clear
// is not taken away as a file. No page of another site makes somebody export, which
// would be on record in their name.
func TestExportRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		for _, c := range []struct {
			who, path string
			code      int
		}{
			{"", "/export?q=project:demo-http&format=csv", 403},
			{"admin", "/export?q=project:demo-http&format=xls", 400},
			{"admin", "/export?q=project:demo-http", 400},
			{"admin", "/export?q=(&format=csv", 400},
		} {
			if got := b.as(c.who).get(c.path).Code; got != c.code {
				t.Errorf("%q: %s = %d, want %d", c.who, c.path, got, c.code)
			}
		}
		admin := b.as("admin")
		size := b.journal.Size()
		for site, code := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/export?q=token:tok-13&format=csv", http.NoBody)
			r.Header.Set("Sec-Fetch-Site", site)
			if got := admin.send(r).Code; got != code {
				t.Errorf("from a page that is %s: %d, want %d", site, got, code)
			}
		}
		if b.settled(); b.journal.Size() != size+2 {
			t.Errorf("of two exports and two that others wanted, %d are on record", b.journal.Size()-size)
		}
		admin.reveal("/search?q=token:tok-13", "case 1")
		keeps(t, admin.page("/export?q=token:tok-13&format=ndjson", http.StatusOK), "203.0.113.77")
	})
}
