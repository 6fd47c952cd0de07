package segment_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// value draws the bytes of a value of a type.
func value(t *rapid.T, kind event.Type) []byte {
	switch kind {
	case event.Int, event.Time:
		v := rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 2_000_000_000_000_000)).Draw(t, "number")
		return binary.BigEndian.AppendUint64(nil, uint64(v))
	case event.Bool:
		return []byte{rapid.ByteRange(0, 1).Draw(t, "bit")}
	case event.IP:
		return rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")
	case event.String, event.JSON:
	}
	return []byte(rapid.OneOf(
		rapid.SampledFrom([]string{
			"", "a", "flask", "pkg:pypi/flask", "pkg:pypi/flask@2.0", "user", "project", "token", "file", "org", "flask-flask.whl",
			"0192b7e1-5f00-7abc-8def-0123456789ab", "req_0123456789abcdef", "req_0123456789abcdef0", "deadbeefdeadbeefdeadbeef",
			"0123456789abcdef0123456789abcdef0123456789abcdef", "\x00\x01\x02\x05\xff", "npm/10.2.0 node/v20", "Zoë ﬂask", `{"a":[1]}`,
		}),
		rapid.StringN(0, 60, 200), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 60), func(b []byte) string { return string(b) }),
	).Draw(t, "text"))
}

// names draws the names of an event's fields.
func names(t *rapid.T) []string {
	var list []string
	for range rapid.IntRange(1, 30).Draw(t, "fields") {
		switch rapid.IntRange(0, 5).Draw(t, "sort") {
		case 0, 1:
			list = append(list, event.NameOf(rapid.IntRange(1, 34).Draw(t, "code")))
		case 2, 3:
			n := rapid.SampledFrom([]int{0, 0, 1, 1, 2, 31}).Draw(t, "number")
			for _, member := range []string{"type", "id", "name", "version", "role"} {
				if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
					list = append(list, fmt.Sprintf("subjects.%d.%s", n, member))
				}
			}
		case 4:
			list = append(list, "metadata."+rapid.StringMatching(`[a-zA-Z0-9_.-]{1,5}`).Draw(t, "key"))
		case 5:
			list = append(list, rapid.StringN(1, 10, 40).Draw(t, "name"))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// anyFields draws fields that may be committed to, whether or not an event like
// that can be sent. Mostly they have the types of an event's.
func anyFields(t *rapid.T) event.Fields {
	var f event.Fields
	for _, name := range names(t) {
		kind := event.String
		switch {
		case name == "time" || name == "received":
			kind = event.Time
		case name == "context.ip":
			kind = event.IP
		case strings.HasPrefix(name, "metadata."), rapid.IntRange(0, 19).Draw(t, "odd") == 0:
			kind = rapid.SampledFrom([]event.Type{event.String, event.Int, event.Bool, event.Time, event.IP, event.JSON}).Draw(t, "type")
		}
		f = append(f, event.Field{Name: name, Type: kind, Value: value(t, kind), Private: rapid.IntRange(0, 2).Draw(t, "private") == 0})
	}
	return f
}

// recordOf returns the record of f, without the personal fields that erase
// chooses.
func recordOf(t tester, f event.Fields, number uint64, derived bool, erase func(i int) bool) *event.Record {
	t.Helper()
	var s event.Secrets
	if source := f.Text("source"); derived && len(source) < 256 {
		s.Open = event.OpenSecret(&openKey, source, f.Text("id"))
	} else {
		binary.LittleEndian.PutUint64(s.Open[:], number+99)
	}
	if slices.ContainsFunc(f, func(f event.Field) bool { return f.Private }) {
		binary.LittleEndian.PutUint64(s.Private[:], number*0x9e3779b97f4a7c15+1)
	}
	body, _ := event.AppendRecord(nil, f, &s)
	if erase != nil {
		var err error
		if body, err = event.Erase(body, func(i int, f *event.StoredField) bool { return f.Private && erase(i) }); err != nil {
			t.Fatalf("%v", err)
		}
	}
	r, err := event.DecodeRecord(body)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

// tester is a test, or one of the many of a property.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkRows checks that s gives back the records at their positions, and that
// their commitments hold, with its dictionaries in memory as well: if the two
// ways differed, a check would pass what an answer gets wrong.
func checkRows(t tester, s *segment.Segment, seqs []int64, list []*event.Record) {
	t.Helper()
	checkReader(t, s.Reader(), seqs, list)
	loaded := s.Reader()
	if err := loaded.Load(); err != nil {
		t.Fatalf("%v", err)
	}
	checkReader(t, loaded, seqs, list)
	checkReader(t, loaded.Another(), seqs, list)
}

func checkReader(t tester, r *segment.Reader, seqs []int64, list []*event.Record) {
	t.Helper()
	var got event.Record
	for i, want := range list {
		row, ok, err := r.RowOf(seqs[i])
		if err != nil || !ok {
			t.Fatalf("record %d: found %t, %v", seqs[i], ok, err)
		}
		seq, err := r.Record(row, &got)
		if err != nil || seq != seqs[i] {
			t.Fatalf("record %d: got %d, %v", seqs[i], seq, err)
		}
		if d := differ(&got, want); d != "" {
			t.Fatalf("record %d: %s", seqs[i], d)
		}
		got.Commitment = want.Commitment
		if err := got.Verify(); err != nil {
			t.Fatalf("record %d: %v", seqs[i], err)
		}
	}
}

// sealed returns the segment of records, and its files.
func sealed(t testing.TB, seqs []int64, list []*event.Record) (s *segment.Segment, main, side []byte) {
	t.Helper()
	tab := segment.NewTable(openKey)
	for i, r := range list {
		if err := tab.Add(seqs[i], r); err != nil {
			t.Fatal(err)
		}
	}
	main, side, _ = tab.Seal()
	return open(t, main, side), main, side
}

// merged returns the files of a segment made of the rows of s.
func merged(t tester, s *segment.Segment) (main, side []byte) {
	t.Helper()
	tab := segment.NewTable(openKey)
	r := s.Reader()
	var record event.Record
	for i := range s.Len() {
		row, _, err := r.RowAt(i)
		if err != nil {
			t.Fatalf("%v", err)
		}
		seq, err := r.Record(row, &record)
		if err == nil {
			err = tab.Add(seq, &record)
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	main, side, _ = tab.Seal()
	return main, side
}

// TestAnyRecords seals records of any fields, some of them with some or all
// personal fields erased, and seals what comes out again. If a byte were lost, a
// commitment would no longer hold, and the evidence would be worth nothing.
func TestAnyRecords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list []*event.Record
		var seqs []int64
		seq := int64(0)
		for i := range rapid.IntRange(1, 12).Draw(rt, "records") {
			f := anyFields(rt)
			if i > 0 && rapid.IntRange(0, 3).Draw(rt, "again") == 0 {
				f = list[i-1].Open() // the same again, or what is left of it
			}
			if len(f) == 0 {
				f = anyFields(rt)
			}
			var erase func(int) bool
			switch rapid.IntRange(0, 2).Draw(rt, "erase") {
			case 0:
				erase = func(int) bool { return rapid.Bool().Draw(rt, "gone") }
			case 1:
				erase = func(int) bool { return true }
			}
			seq += rapid.Int64Range(1, 1000).Draw(rt, "gap")
			seqs = append(seqs, seq)
			list = append(list, recordOf(rt, f, uint64(i), rapid.Bool().Draw(rt, "derived"), erase))
		}
		s, main, side := sealed(t, seqs, list)
		checkRows(rt, s, seqs, list)
		again, sideAgain := merged(rt, s)
		if !bytes.Equal(main, again) || !bytes.Equal(side, sideAgain) {
			rt.Fatalf("the same records gave other bytes when they came from a segment")
		}
	})
}

// TestErasuresInEveryCombination erases each set of an event's personal fields
// and merges what is left. Of what was erased no byte may be in either file; in
// the main file nothing personal may be at all.
func TestErasuresInEveryCombination(t *testing.T) {
	f := event.Fields{
		{Name: "actor.id", Type: event.String, Value: []byte("secret-actor-id"), Private: true},
		{Name: "actor.name", Type: event.String, Value: []byte("secret-actor-name"), Private: true},
		{Name: "actor.type", Type: event.String, Value: []byte("user")},
		{Name: "context.ip", Type: event.IP, Value: []byte("secret-address-1"), Private: true},
		{Name: "id", Type: event.String, Value: []byte("0192b7e1-5f00-7abc-8def-0123456789ab")},
		{Name: "metadata.error", Type: event.JSON, Value: []byte(`["secret-json"]`), Private: true},
		{Name: "reason", Type: event.String, Value: []byte("secret-reason of many words"), Private: true},
		event.StringField("source", "registry"),
		{Name: "subjects.0.id", Type: event.String, Value: []byte("secret-actor-id"), Private: true},
		{Name: "subjects.0.name", Type: event.String, Value: []byte("secret-actor-name"), Private: true},
		event.StringField("subjects.0.type", "user"),
		event.StringField("tag", "user:login"),
		event.TimeField("time", start),
	}
	var private []int
	for i := range f {
		if f[i].Private {
			private = append(private, i)
		}
	}
	var list []*event.Record
	var seqs []int64
	for mask := range 1 << len(private) {
		list = append(list, recordOf(t, f, uint64(mask), true, func(i int) bool { return mask>>slices.Index(private, i)&1 != 0 }))
		seqs = append(seqs, int64(mask))
	}
	s, main, side := sealed(t, seqs, list)
	checkRows(t, s, seqs, list)
	again, sideAgain := merged(t, s)
	checkRows(t, open(t, again, sideAgain), seqs, list)
	if !bytes.Equal(main, again) || !bytes.Equal(side, sideAgain) {
		t.Error("a merge of the same rows gave other bytes")
	}
	if got := everything(main); bytes.Contains(got, []byte("secret")) {
		t.Error("the main file has personal values")
	}
	for mask, r := range list {
		_, main, side := sealed(t, []int64{5}, []*event.Record{r})
		bare := append(everything(main), everything(side)...)
		for bit, i := range private {
			same := 0 // the actor and the subject are one
			for other, k := range private {
				if bytes.Equal(f[i].Value, f[k].Value) && mask>>other&1 == 0 {
					same++
				}
			}
			if mask>>bit&1 != 0 && same == 0 && bytes.Contains(bare, f[i].Value[:10]) && !likeOther(f, private, mask, i) {
				t.Errorf("erased %b: %s is still there", mask, f[i].Name)
			}
		}
		if side == nil {
			t.Errorf("erased %b: there is no side file for digests", mask)
		}
	}
}

// likeOther reports whether a field that stays begins as field i does.
func likeOther(f event.Fields, private []int, mask, i int) bool {
	for other, k := range private {
		if mask>>other&1 == 0 && bytes.HasPrefix(f[k].Value, f[i].Value[:10]) {
			return true
		}
	}
	return false
}

// everything returns a file and all that is compressed in it.
func everything(file []byte) []byte {
	all := bytes.Clone(file)
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	defer d.Close()
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd}
	for at := 0; ; at++ {
		k := bytes.Index(file[at:], frame)
		if k < 0 {
			return all
		}
		at += k
		raw, _ := d.DecodeAll(file[at:], nil) // what follows the frame is an error
		all = append(all, raw...)
	}
}

// TestSameBytes seals the same records twice.
func TestSameBytes(t *testing.T) {
	list := records(t, 1500)
	main, side, _ := table(t, list).Seal()
	again, sideAgain, _ := table(t, list).Seal()
	if !bytes.Equal(main, again) || !bytes.Equal(side, sideAgain) {
		t.Error("the same records gave other bytes")
	}
}

// TestTimesOutOfOrder checks rows whose times come in any order, are equal, are
// far in the past and not there at all.
func TestTimesOutOfOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var list []*event.Record
		var seqs []int64
		for i := range rapid.IntRange(1, 200).Draw(rt, "records") {
			f := event.Fields{event.StringField("tag", "user:login")}
			if rapid.IntRange(0, 9).Draw(rt, "time") > 0 {
				micros := rapid.SampledFrom([]int64{0, 1, 1000, 1_700_000_000_000_000, -5, 253402300799999999}).Draw(rt, "base") + rapid.Int64Range(0, 3).Draw(rt, "more")
				f = append(f, event.Field{Name: "time", Type: event.Time, Value: binary.BigEndian.AppendUint64(nil, uint64(micros))})
			}
			seqs = append(seqs, int64(2*i))
			list = append(list, recordOf(rt, f, uint64(i), true, nil))
		}
		s, _, _ := sealed(t, seqs, list)
		checkRows(rt, s, seqs, list)
		r := s.Reader()
		if _, ok, err := r.RowOf(1); ok || err != nil {
			rt.Fatalf("there is a row for record 1, or %v", err)
		}
		for i := range s.Len() {
			if _, seq, err := r.RowAt(i); err != nil || seq != seqs[i] {
				rt.Fatalf("record %d by position is %d, %v", i, seq, err)
			}
		}
	})
}

// TestManyFields checks the largest events: 256 fields, 32 subjects, 32 changes.
func TestManyFields(t *testing.T) {
	var f event.Fields
	for n := range event.MaxSubjects {
		p := fmt.Sprintf("subjects.%d.", n)
		f = append(f, event.StringField(p+"id", fmt.Sprintf("pkg:pypi/flask@%d", n/2)), event.StringField(p+"name", "flask"),
			event.StringField(p+"type", "version"), event.StringField(p+"version", fmt.Sprint(n/3)))
	}
	for n := range event.MaxChanges {
		f = append(f, event.StringField(fmt.Sprintf("changes.%d.field", n), "f"), event.StringField(fmt.Sprintf("changes.%d.new", n), "flask"))
	}
	f = append(f, event.StringField("tag", "project:release:create"), event.TimeField("time", start))
	for n := 0; len(f) < event.MaxFields; n++ {
		f = append(f, event.Field{Name: fmt.Sprintf("metadata.m%d", n), Type: event.String, Value: []byte("x"), Private: n%2 == 0})
	}
	slices.SortFunc(f, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	list := []*event.Record{recordOf(t, f, 1, true, nil), recordOf(t, f, 2, true, func(i int) bool { return i%3 == 0 })}
	s, _, _ := sealed(t, []int64{7, 8}, list)
	checkRows(t, s, []int64{7, 8}, list)
}

// TestTableRefuses lists records that would not come back as they are.
func TestTableRefuses(t *testing.T) {
	good := recordOf(t, event.Fields{event.StringField("tag", "user:login")}, 1, true, nil)
	erased := recordOf(t, event.Fields{event.StringField("tag", "user:login")}, 1, true, nil)
	erased.Fields[0].Erased = true
	tab := segment.NewTable(openKey)
	for _, c := range []struct {
		what string
		seq  int64
		r    *event.Record
		ok   bool
	}{
		{"no fields", 1, new(event.Record), false},
		{"an open field that is erased", 1, erased, false},
		{"a record", 5, good, true},
		{"the same position", 5, good, false},
		{"an earlier position", 4, good, false},
		{"the next", 6, good, true},
	} {
		if err := tab.Add(c.seq, c.r); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if tab.Len() != 2 {
		t.Errorf("the table has %d rows, want 2", tab.Len())
	}
}

// TestRecordsOutliveTheirReader keeps records that a selection gave while the reader
// serves others.
func TestRecordsOutliveTheirReader(t *testing.T) {
	list := records(t, 200)
	main, side, _ := table(t, list).Seal()
	s := open(t, main, side)
	q, err := query.Parse("", start)
	if err != nil {
		t.Fatal(err)
	}
	kept := make([]event.Record, len(list))
	for row := range list {
		x, err := s.Reader().Select(segment.Request{Query: q, After: math.MinInt64, Before: math.MaxInt64})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Record(uint32(row), &kept[row]); err != nil {
			t.Fatal(err)
		}
		x.Release()
		r := s.Reader() // most likely the same
		var other event.Record
		if _, err := r.Record(len(list)-1-row, &other); err != nil {
			t.Fatal(err)
		}
		r.Release()
	}
	for row := range kept {
		if d := differ(&kept[row], list[row]); d != "" {
			t.Fatalf("row %d: %s", row, d)
		}
	}
}
