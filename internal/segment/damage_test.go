package segment_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// look is all that two files say: their rows, and what some queries find in
// them. After an error it is what was said before.
func look(main, side []byte) (said string, err error) {
	fs := new(disk.Mem)
	if err := errors.Join(disk.ReplaceFile(fs, "main", main), disk.ReplaceFile(fs, "side", side)); err != nil {
		return "", err
	}
	s, err := segment.Open(fs, "main", "side", openKey, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = s.Close() }()
	var b bytes.Buffer
	if err := s.IDs(func(source string, id []byte, seq int64) { fmt.Fprintln(&b, source, string(id), seq) }); err != nil {
		return b.String(), err
	}
	r := s.Reader()
	var record event.Record
	for row := range s.Len() {
		seq, err := r.Record(row, &record)
		if err != nil {
			return b.String(), err
		}
		fmt.Fprintln(&b, seq, record.Secrets, record.Fields)
	}
	for _, text := range []string{"", "project:flask", "user:u*", "-outcome:success", "ip:198.18.0.0/15", "npm", "class:project request:r*", "token:t"} {
		if err := lookFor(&b, s, text); err != nil {
			return b.String(), err
		}
	}
	return b.String(), nil
}

func lookFor(b *bytes.Buffer, s *segment.Segment, text string) error {
	q, err := query.Parse(text, start)
	if err != nil {
		return err
	}
	x, err := s.Reader().Select(segment.Request{Query: q, After: math.MinInt64, Before: math.MaxInt64})
	if err != nil {
		return err
	}
	var rows []uint32
	if err := x.Each(func(row uint32) bool {
		rows = append(rows, row)
		return true
	}); err != nil {
		return err
	}
	kinds, err := x.KindCounts(rows)
	if err == nil {
		err = x.Times(rows, func(micros int64) { fmt.Fprint(b, micros) })
	}
	if err == nil {
		err = x.Values([]segment.Column{segment.Project}, rows, nil, func(value string, n int) { fmt.Fprint(b, value, n) })
	}
	if err == nil {
		err = x.Names(segment.Actor, "", func(value string) bool {
			fmt.Fprint(b, value)
			return true
		})
	}
	fmt.Fprintln(b, text, x.Exact(), rows, kinds)
	return err
}

// small returns the files of a small segment.
func small(t testing.TB, n int) (main, side []byte) {
	t.Helper()
	list := records(t, n)
	for i := range list { // some have lost something
		if i%5 == 0 {
			body, err := event.Erase(list[i].AppendBody(nil), func(k int, f *event.StoredField) bool { return f.Private && k%2 == 0 })
			if err != nil {
				t.Fatal(err)
			}
			if list[i], err = event.DecodeRecord(body); err != nil {
				t.Fatal(err)
			}
		}
	}
	main, side, _ = table(t, list).Seal()
	return main, side
}

// damaged checks what a damaged file says: what the whole one says, or the
// beginning of it and an error that names the file.
func damaged(t *testing.T, what, name, want, got string, err error) {
	t.Helper()
	var d *segment.DamageError
	switch {
	case err == nil && got != want:
		t.Errorf("%s: another answer, and no error", what)
	case err != nil && (!errors.As(err, &d) || d.File != name):
		t.Errorf("%s: %v, want an error that names %s", what, err, name)
	case err != nil && d.Error() == "":
		t.Errorf("%s: the error says nothing", what)
	}
}

// TestFlippedBits damages each part of both files. If an answer could change in
// silence, so could the evidence.
func TestFlippedBits(t *testing.T) {
	main, side := small(t, 40)
	want, err := look(main, side)
	if err != nil {
		t.Fatal(err)
	}
	step := 7
	if testing.Short() {
		step = 29
	}
	for name, file := range map[string][]byte{"main": main, "side": side} {
		found := 0
		for at := range file {
			if at%step != 0 && at < len(file)-40 { // each byte of the end
				continue
			}
			file[at] ^= 1 << (at % 8)
			got, err := look(main, side)
			file[at] ^= 1 << (at % 8)
			damaged(t, fmt.Sprintf("%s, byte %d", name, at), name, want, got, err)
			if err != nil {
				found++
			}
		}
		if found == 0 {
			t.Errorf("%s: no damage was found", name)
		}
	}
}

// TestCutFiles cuts both files short.
func TestCutFiles(t *testing.T) {
	main, side := small(t, 40)
	for size := 0; size < len(main); size += 1 + size/20 {
		_, err := look(main[:size], side)
		damaged(t, fmt.Sprintf("main, %d bytes", size), "main", "-", "", err)
	}
	for size := 0; size < len(side); size += 1 + size/20 {
		_, err := look(main, side[:size])
		damaged(t, fmt.Sprintf("side, %d bytes", size), "side", "-", "", err)
	}
}

// TestMixedUpFiles opens files that belong to others.
func TestMixedUpFiles(t *testing.T) {
	main, side := small(t, 40)
	_, other := small(t, 41)
	for _, c := range []struct {
		what       string
		main, side []byte
		file       string
	}{
		{"the parts exchanged", side, main, "main"},
		{"main twice", main, main, "side"},
		{"the side of another", main, other, "side"},
	} {
		_, err := look(c.main, c.side)
		damaged(t, c.what, c.file, "-", "", err)
	}
}

// FuzzOpen opens anything, with sums that are right. Numbers that contradict
// each other may give an error, and nothing worse.
func FuzzOpen(f *testing.F) {
	main, side := small(f, 30)
	f.Add(main, side, uint16(0), byte(0))
	for i := range 40 {
		f.Add(main, side, uint16(i*977), byte(i+1))
	}
	f.Fuzz(func(t *testing.T, main, side []byte, at uint16, change byte) {
		for _, file := range [][]byte{main, side} {
			segment.Change(file, int(at), change)
		}
		_, err := look(main, side)
		var d *segment.DamageError
		if err != nil && !errors.As(err, &d) {
			t.Errorf("%v", err)
		}
	})
}

// TestDamageThatGoes reads a segment of which a page cannot be read, and again
// once it can: what failed the first time must not be remembered as failed.
func TestDamageThatGoes(t *testing.T) {
	list := records(t, 300) // enough for a blob with a dictionary of its own
	main, side, _ := table(t, list).Seal()
	fs := new(disk.Mem)
	for name, data := range map[string][]byte{"main": main, "side": side} {
		if err := disk.ReplaceFile(fs, name, data); err != nil {
			t.Fatal(err)
		}
	}
	failed := 0
	for _, name := range []string{"main", "side"} {
		size := map[string]int{"main": len(main), "side": len(side)}[name]
		for at := int64(0); at < int64(size); at += 1 << 10 {
			s, err := segment.Open(fs, "main", "side", openKey, nil)
			if err != nil {
				t.Fatal(err)
			}
			fs.Flip(name, at, 3)
			var got event.Record
			if _, err := s.Reader().Record(7, &got); err != nil {
				failed++
			}
			fs.Flip(name, at, 3)
			if _, err := s.Reader().Record(7, &got); err != nil {
				t.Errorf("%s, byte %d: it is whole again, and reading it = %v", name, at, err)
			} else if d := differ(&got, list[7]); d != "" {
				t.Errorf("%s, byte %d: it is whole again, and %s", name, at, d)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if failed == 0 {
		t.Error("no damage was in the way")
	}
}
