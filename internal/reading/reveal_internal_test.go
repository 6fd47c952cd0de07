package reading

import (
	"fmt"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reader"
)

// TestAllConcernedAreNamed looks at more people than one event can name: each of
// them has to find a look that is about them.
func TestAllConcernedAreNamed(t *testing.T) {
	for _, n := range []int{0, 1, event.MaxSubjects, event.MaxSubjects + 1, 3*event.MaxSubjects + 5} {
		c := &concerned{masked: []string{"context.ip", "context.ip"}}
		for i := range n {
			c.add(event.Subject{Type: "user", ID: fmt.Sprint("u", i)})
			c.add(event.Subject{Type: "user", ID: fmt.Sprint("u", i)}) // is there once
		}
		named := make(map[string]int)
		list := c.events(new(reader.Reader), &Look{Reason: "case 18"})
		for _, e := range list {
			if len(e.Subjects) > event.MaxSubjects || e.Metadata["reason"] != "case 18" {
				t.Errorf("of %d people: an event with %d subjects, reason %v", n, len(e.Subjects), e.Metadata["reason"])
			}
			for _, s := range e.Subjects {
				named[s.ID]++
			}
		}
		if len(named) != n || len(list) != max(1, (n+event.MaxSubjects-1)/event.MaxSubjects) {
			t.Errorf("%d of %d people are named, in %d events", len(named), n, len(list))
		}
	}
}
