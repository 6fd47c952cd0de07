package npm_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// common are the keys of metadata that any event may have.
var common = []string{"derived", "undetermined", "ambiguous", "truncated", "status", "error"}

var loadCatalogue = sync.OnceValues(catalogue.Load)

// checkCatalogue checks that readers are told what an event means, and that
// nobody is shown more of it than its type says: what the catalogue does not
// know is hidden.
func checkCatalogue(t *testing.T, e *event.Event) {
	t.Helper()
	c, err := loadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	kind, ok := c.Lookup(e.Tag)
	if !ok {
		t.Errorf("%s is not in the catalogue", e.Tag)
		return
	}
	for key, value := range e.Metadata {
		if slices.Contains(common, key) {
			continue
		}
		field, ok := kind.Field(key)
		if !ok {
			t.Errorf("%s: the catalogue has no %s", e.Tag, key)
			continue
		}
		text, _ := value.(string)
		if field.Type == catalogue.Enum && !slices.Contains(field.Values, text) {
			t.Errorf("%s: %s cannot be %v", e.Tag, key, value)
		}
		if !slices.Contains(typesOf(value), field.Type) {
			t.Errorf("%s: %s is a %T, want %s", e.Tag, key, value, field.Type)
		}
	}
	for _, s := range e.Subjects {
		if !slices.Contains(kind.Subjects, s.Type) {
			t.Errorf("%s: a %s is none of the subjects %v", e.Tag, s.Type, kind.Subjects)
		}
	}
}

// typesOf returns the types that a value can have.
func typesOf(value any) []catalogue.FieldType {
	switch value.(type) {
	case string:
		return []catalogue.FieldType{catalogue.String, catalogue.Text, catalogue.Enum, catalogue.Digest, catalogue.Time}
	case int, int64:
		return []catalogue.FieldType{catalogue.Int}
	case bool:
		return []catalogue.FieldType{catalogue.Bool}
	case []string:
		return []catalogue.FieldType{catalogue.List}
	}
	return nil
}
