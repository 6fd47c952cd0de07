package segment_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// TestFilterHidesNothing asks for every value that queries name, in every form,
// and for values that are not there.
func TestFilterHidesNothing(t *testing.T) {
	list := records(t, 1500)
	main, side, _ := table(t, list).Seal()
	s := open(t, main, side)
	asked := make(map[string]bool)
	for _, r := range list {
		f := r.Open()
		for _, term := range []struct{ kind, field string }{
			{"actor", "actor.id"},
			{"actor", "actor.name"},
			{"user", "actor.id"},
			{"user", "subjects.0.id"},
			{"user", "subjects.1.name"},
			{"project", "subjects.0.name"},
			{"project", "subjects.0.id"},
			{"project", "subjects.1.name"},
			{"token", "credential.id"},
			{"ip", "context.ip"},
			{"on_behalf_of", "on_behalf_of.id"},
		} {
			if v, ok := f.Get(term.field); ok {
				asked[fmt.Sprintf("%s:%q", term.kind, v.Text())] = true
			}
		}
	}
	for i := range 2000 {
		asked[fmt.Sprintf("user:nobody%d", i)] = false
		asked[fmt.Sprintf("project:nothing%d", i)] = false
		asked[fmt.Sprintf("token:tok_%016x", i*77)] = false
		asked[fmt.Sprintf("ip:203.0.113.%d", i%256)] = false
	}
	passed, absent := 0, 0
	for text := range asked {
		q, err := query.Parse(text, start)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		x, err := s.Reader().Select(segment.Request{Query: q, After: math.MinInt64, Before: math.MaxInt64})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		if err := x.Each(func(uint32) bool { found = true; return false }); err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{text, "(" + text + " OR user:nobody) class:user OR " + text, text + " -outcome:denied"} {
			q, err := query.Parse(form, start)
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			may, err := s.MayHold(q)
			if err != nil {
				t.Fatal(err)
			}
			if found && !may {
				t.Errorf("%s is there, and the filter says it is not", form)
			}
			if !found {
				absent++
				if may {
					passed++
				}
			}
		}
	}
	if absent < 1000 || passed*20 > absent {
		t.Errorf("of %d queries for what is not there the filter let %d pass, want at most a twentieth", absent, passed)
	}
}
