package reader

import (
	"testing"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// What a policy has looked up beforehand is what the catalogue says, for whatever
// class an event is of and whatever type a party has. A rule that is somebody
// else's shows a field to who must not see it.
func TestRulesAreTheCatalogues(t *testing.T) {
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	p := &Policy{Catalogue: c}
	known := p.known()
	types := []string{"", "nobody", "\x00", "admin "}
	for _, f := range c.CoreFields() {
		types = append(types, f.Impersonal...)
		for typ := range f.Types {
			types = append(types, typ)
		}
	}
	looked := 0
	for _, class := range append(catalogue.Classes(), "", "nothing", "\x00") {
		for _, typ := range types {
			of := known.rules.of(class)[known.rules.types.of([]byte(typ))]
			for code := range event.CodeLimit {
				core, ok := c.Core(event.NameOf(code))
				if !ok {
					continue
				}
				looked++
				want := rule{core.VisibleIn(class, typ), core.PersonalFor(typ)}
				if of[code] != want {
					t.Errorf("%s of class %q and type %q: rule %v, want %v", core.Name, class, typ, of[code], want)
				}
			}
		}
	}
	if looked == 0 {
		t.Error("no rule was looked at")
	}
}
