package custody_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/event"
)

var (
	stampAdd = custody.MustType("project:stamp:add", custody.Field("colour", custody.Text), custody.Field("size", custody.Int),
		custody.Field("gilded", custody.Bool), custody.Field("perforations", custody.List))

	alice = custody.Party{Type: "user", ID: "u1", Name: "alice"}
	demo  = custody.Subject{Type: "project", ID: "p1", Name: "demo-pkg"}
)

// An event of a type of one's own is recorded as it was written.
func TestType(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	start := stampAdd.By(alice).On(demo)
	red := start.With("colour", "red").With("size", uint8(7)).With("gilded", true).With("perforations", []int{1, 2})
	blue := start.With("colour", "blue")
	for _, d := range []custody.Draft{red, blue} {
		record(t, client, d.Event())
	}
	events := log.events()
	if m := events[0].Metadata; m["colour"] != "red" || m["size"] != int64(7) || m["gilded"] != true || len(m) != 4 {
		t.Errorf("recorded %v", m)
	}
	if m := events[1].Metadata; m["colour"] != "blue" || len(m) != 1 || events[1].Subjects[0].Name != "demo-pkg" || len(events[1].Subjects) != 1 {
		t.Errorf("a second event of the same start: %+v", events[1])
	}
}

// What the type does not allow is not recorded, and the error names it.
func TestTypeRefuses(t *testing.T) {
	log := newFakeLog(t)
	client := log.client(t)
	for _, c := range []struct {
		name  string
		field string
		value any
		path  string
	}{
		{"a name it does not have", "color", "red", "metadata.color"},
		{"a number for a string", "colour", 7, "metadata.colour"},
		{"a string for a number", "size", "7", "metadata.size"},
		{"a fraction for a whole number", "size", 7.5, "metadata.size"},
		{"a number that is too large", "size", uint64(1) << 63, "metadata.size"},
		{"nil", "colour", nil, "metadata.colour"},
		{"an object for a list", "perforations", map[string]int{}, "metadata.perforations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client.Record(t.Context(), stampAdd.By(alice).On(demo).With(c.field, c.value).Event())
			var wrong *event.InvalidError
			if !errors.As(err, &wrong) || wrong.Path != c.path || log.len() != 0 {
				t.Errorf("Record = %v, want an error about %s", err, c.path)
			}
		})
	}
}

// A type that could never be recorded is found out when the program starts.
func TestMustType(t *testing.T) {
	for _, c := range []struct {
		name   string
		tag    string
		fields []custody.MetadataField
		want   string
	}{
		{"class unknown", "stamp:add", nil, "must start with"},
		{"upper case", "project:Stamp:add", nil, "lower-case"},
		{"no name", "project:stamp:add", []custody.MetadataField{custody.Field("", custody.Text)}, "no name"},
		{"no kind", "project:stamp:add", []custody.MetadataField{{Name: "colour"}}, "no kind"},
		{"twice", "project:stamp:add", []custody.MetadataField{custody.Field("a", custody.Text), custody.Field("a", custody.Int)}, "twice"},
		{"a name that is too long", "project:stamp:add", []custody.MetadataField{custody.Field(strings.Repeat("a", 300), custody.Int)}, "metadata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := custody.NewType(c.tag, c.fields...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("NewType = %v, want an error with %q", err, c.want)
			}
			defer func() {
				if recover() == nil {
					t.Error("MustType did not panic")
				}
			}()
			custody.MustType(c.tag, c.fields...)
		})
	}
}
