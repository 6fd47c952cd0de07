package console_test

import (
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/custody-log/custody/proof"
)

// The page of an event shows all of it that the visitor may see, and says of the
// rest that it is there.
func TestEventPage(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		page := b.as("admin").page("/event/19", http.StatusOK)
		says(t, page, "alice published demo-http 1.3.1", "credential.id", "tok-13", "masked: give a reason to see it",
			"personal fields are masked", "custody verify event-19.receipt", "Some of this is masked")
		keeps(t, page, "203.0.113.77", "s-666")

		public := b.as("").page("/event/19", http.StatusOK)
		says(t, public, "alice published demo-http 1.3.1")
		keeps(t, public, "tok-13", "203.0.113.77", "NL", "masked", "Some of this is")
	})
}

// What is not there and what is not for the visitor are answered alike, to the
// byte: nothing tells the public which events there are.
func TestNothingTellsWhatIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		for _, who := range []string{"", "owner"} {
			u := b.as(who)
			for _, suffix := range []string{"", "/receipt"} {
				hidden, none := u.get("/event/17"+suffix), u.get("/event/99"+suffix) // 17: alice made a token
				if hidden.Code != http.StatusNotFound || none.Code != http.StatusNotFound {
					t.Errorf("%q: a hidden event is answered with %d, none with %d", who, hidden.Code, none.Code)
				}
				same := func(w string) string {
					return strings.NewReplacer("/event/17", "/event/N", "/event/99", "/event/N", "%2f17", "%2fN", "%2f99", "%2fN").Replace(w)
				}
				if a, b := same(hidden.Body.String()), same(none.Body.String()); a != b {
					t.Errorf("%q: a hidden event is answered with\n%s\nand none with\n%s", who, a, b)
				}
			}
		}
		for _, path := range []string{"/event/-1", "/event/x", "/event/99999999999999999999"} {
			says(t, b.as("").page(path, http.StatusNotFound), "There is no such thing in this log, or it is not for you to see.")
		}
	})
}

// The fields that a page says were signed are those that its receipt proves, for
// each reader: this is what the browser compares.
func TestPageIsWhatTheReceiptProves(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.incident()
		cell := regexp.MustCompile(`<td data-field="([^"]+)">.*?<bdi>(.*?)</bdi>`)
		for _, who := range []string{"", "owner", "admin", "alice"} {
			u := b.as(who)
			for _, path := range []string{"/event/3", "/event/19"} {
				page := u.page(path, http.StatusOK)
				keys := regexp.MustCompile(`name="log-keys" content="([^"]+)"`).FindStringSubmatch(page)
				receipt, err := proof.ParseReceipt(u.get(path + "/receipt").Body.Bytes())
				if err != nil {
					t.Fatalf("%q: %s: %v", who, path, err)
				}
				policy, err := proof.KeyPolicy(strings.Fields(html.UnescapeString(keys[1]))...)
				if err != nil {
					t.Fatal(err)
				}
				proved, err := receipt.Verify(policy)
				if err != nil {
					t.Fatalf("%q: %s: %v", who, path, err)
				}
				var signed, shown []string
				for i := range proved.Fields {
					signed = append(signed, proved.Fields[i].Name+"="+proved.Fields[i].Text())
				}
				for _, m := range cell.FindAllStringSubmatch(page, -1) {
					shown = append(shown, m[1]+"="+html.UnescapeString(m[2]))
				}
				slices.Sort(signed)
				slices.Sort(shown)
				if !slices.Equal(signed, shown) || len(shown) == 0 {
					t.Errorf("%q: %s shows\n%q, the receipt proves\n%q", who, path, shown, signed)
				}
			}
		}
	})
}

// An event that no checkpoint covers yet has a page that says so, and no receipt
// yet.
func TestNotSignedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, "tree")
		admin := b.as("admin")
		b.record(`{"id":"1","tag":"project:create","time":"2026-03-01T00:00:00Z","actor":{"type":"user","id":"u","name":"dave"},"subjects":[{"type":"project","id":"p","name":"p"}]}`)
		says(t, admin.page("/event/1", http.StatusOK), "No signed checkpoint covers this event yet.")
		says(t, admin.page("/event/1/receipt", http.StatusNotFound), "No signed checkpoint covers this event yet.")
	})
}
