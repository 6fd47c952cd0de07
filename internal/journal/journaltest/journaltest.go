// Package journaltest holds what every [journal.Door] must do. Each
// implementation passes it in a test of its own.
package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/custody-log/custody/internal/journal"
)

// Test checks doors of one kind. Open returns a new, empty place where records
// are kept, as a function that opens a door to it, and does so again after
// that door was closed.
func Test(t *testing.T, open func(t *testing.T) func() journal.Door) {
	tests := []struct {
		name string
		run  func(*testing.T, func() journal.Door)
	}{
		{"what is appended can be read", testRead},
		{"reading has bounds", testReadBounds},
		{"a wrong position is a conflict", testConflict},
		{"of those who append at once one succeeds", testRace},
		{"bad records are refused whole", testRefused},
		{"the largest append is stored", testLargest},
		{"records are copied", testCopied},
		{"readers see whole appends", testReaders},
		{"closed doors stay closed and keep what they have", testClose},
		{"a context that has ended appends nothing", testContext},
		{"the first record is where it was", testFirst},
		{"what is dropped is said to be dropped", testDrop},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// mustAppend appends bodies at the next position.
func mustAppend(t *testing.T, d journal.Door, bodies ...string) {
	t.Helper()
	if err := d.Append(t.Context(), d.Next(), list(bodies)); err != nil {
		t.Fatalf("Append at %d: %v", d.Next(), err)
	}
}

// wantAll checks that d holds exactly bodies.
func wantAll(t *testing.T, d journal.Door, bodies ...string) {
	t.Helper()
	if next := d.Next(); int(next) != len(bodies) {
		t.Errorf("Next = %d, want %d", next, len(bodies))
	}
	var got []string
	for {
		records, err := d.Read(journal.Seq(len(got)), 1000)
		if err != nil {
			t.Fatalf("Read from %d: %v", len(got), err)
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			if int(r.Seq) != len(got) {
				t.Fatalf("Read returned record %d where %d belongs", r.Seq, len(got))
			}
			got = append(got, string(r.Body))
		}
	}
	if !slices.Equal(got, bodies) {
		t.Errorf("the door holds %d records %.200q, want %d records %.200q", len(got), got, len(bodies), bodies)
	}
}

func list(bodies []string) [][]byte {
	var l [][]byte
	for _, b := range bodies {
		l = append(l, []byte(b))
	}
	return l
}

func testRead(t *testing.T, open func() journal.Door) {
	d := open()
	defer d.Close()
	wantAll(t, d)
	mustAppend(t, d, "a", "b")
	mustAppend(t, d, "c")
	wantAll(t, d, "a", "b", "c")
	for from, want := range []string{"a", "b", "c"} {
		records, err := d.Read(journal.Seq(from), 1)
		if err != nil || len(records) != 1 || string(records[0].Body) != want {
			t.Errorf("Read(%d, 1) = %v, %v, want %q", from, records, err, want)
		}
	}
}

func testReadBounds(t *testing.T, open func() journal.Door) {
	d := open()
	defer d.Close()
	mustAppend(t, d, "a", "b", "c")
	for _, test := range []struct {
		from  journal.Seq
		limit int
	}{{3, 1}, {100, 1}, {0, 0}, {0, -1}} {
		if records, err := d.Read(test.from, test.limit); err != nil || len(records) > 0 {
			t.Errorf("Read(%d, %d) = %v, %v, want nothing", test.from, test.limit, records, err)
		}
	}
	if _, err := d.Read(-1, 1); err == nil {
		t.Error("Read(-1, 1) succeeded")
	}

	const long, n = 10_007, 1000 // more than MaxReadBytes
	for range 10 {
		mustAppend(t, d, slices.Repeat([]string{strings.Repeat("x", long)}, n/10)...)
	}
	records, err := d.Read(3, n)
	if got := len(records) * long; err != nil || got == 0 || got >= journal.MaxReadBytes+long {
		t.Errorf("Read of %d records of %d bytes returned %d bytes, %v, want at most one record more than %d",
			n, long, got, err, journal.MaxReadBytes)
	}
}

func testConflict(t *testing.T, open func() journal.Door) {
	d := open()
	defer d.Close()
	mustAppend(t, d, "a", "b")
	for _, at := range []journal.Seq{0, 1, 3, -1} {
		if err := d.Append(t.Context(), at, list([]string{"x"})); !errors.Is(err, journal.ErrConflict) {
			t.Errorf("Append at %d of 2 = %v, want ErrConflict", at, err)
		}
	}
	mustAppend(t, d, "c")
	wantAll(t, d, "a", "b", "c")
}

// testRace has several append at each position; who loses tries the next.
func testRace(t *testing.T, open func() journal.Door) {
	d := open()
	defer d.Close()
	const appenders, rounds = 4, 25
	won := make([]string, rounds)
	for at := range rounds {
		var all sync.WaitGroup
		var mu sync.Mutex
		for who := range appenders {
			all.Go(func() {
				body := fmt.Sprintf("%d by %d", at, who)
				err := d.Append(t.Context(), journal.Seq(at), list([]string{body}))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && won[at] == "":
					won[at] = body
				case err == nil:
					t.Errorf("two appends at %d succeeded", at)
				case !errors.Is(err, journal.ErrConflict):
					t.Errorf("losing Append = %v, want ErrConflict", err)
				}
			})
		}
		all.Wait()
	}
	wantAll(t, d, won...)
}

func testRefused(t *testing.T, open func() journal.Door) {
	d := open()
	defer d.Close()
	body := []byte("x")
	long := make([]byte, journal.MaxRecordBytes)
	for _, test := range []struct {
		name    string
		records [][]byte
	}{
		{"no records", nil},
		{"an empty record", [][]byte{body, {}}},
		{"a record that is too long", [][]byte{body, make([]byte, journal.MaxRecordBytes+1)}},
		{"too many records", slices.Repeat([][]byte{body}, journal.MaxAppendRecords+1)},
		{"too many bytes", slices.Repeat([][]byte{long}, journal.MaxGroupBytes/journal.MaxRecordBytes)},
	} {
		if err := d.Append(t.Context(), 0, test.records); err == nil || errors.Is(err, journal.ErrStopped) {
			t.Errorf("Append of %s = %v, want a refusal", test.name, err)
		}
	}
	mustAppend(t, d, "a")
	wantAll(t, d, "a")
}

func testLargest(t *testing.T, open func() journal.Door) {
	d := open()
	defer func() { d.Close() }()
	var bodies []string
	for i := range journal.MaxAppendRecords {
		bodies = append(bodies, fmt.Sprint(i))
	}
	mustAppend(t, d, bodies...)
	wantAll(t, d, bodies...)

	long := bytes.Repeat([]byte("x"), journal.MaxRecordBytes)
	var long31 []string
	for range journal.MaxGroupBytes/journal.MaxRecordBytes - 1 {
		long31 = append(long31, string(long))
	}
	mustAppend(t, d, long31...)
	if err := d.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	d = open()
	wantAll(t, d, append(bodies, long31...)...)
}

func testCopied(t *testing.T, open func() journal.Door) {
	d := open()
	defer d.Close()
	body := []byte("before")
	if err := d.Append(t.Context(), 0, [][]byte{body}); err != nil {
		t.Fatalf("Append: %v", err)
	}
	copy(body, "after!")
	read, err := d.Read(0, 1)
	if err != nil || len(read) != 1 {
		t.Fatalf("Read = %v, %v", read, err)
	}
	for range 10 {
		mustAppend(t, d, "something else")
		if _, err := d.Read(0, 100); err != nil {
			t.Fatalf("Read: %v", err)
		}
	}
	if got := string(read[0].Body); got != "before" {
		t.Errorf("the record is %q, was appended as %q", got, "before")
	}
}

// testReaders reads while records are appended three at a time.
func testReaders(t *testing.T, open func() journal.Door) {
	d := open()
	defer d.Close()
	const rounds = 50
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var from journal.Seq
			for from < 3*rounds && !t.Failed() {
				from = readTriples(t, d, from)
			}
		})
	}
	for i := range rounds {
		mustAppend(t, d, fmt.Sprintf("%d.0", i), fmt.Sprintf("%d.1", i), fmt.Sprintf("%d.2", i))
	}
	readers.Wait()
}

// readTriples reads what there is from from on, checks that it is all that is
// promised and ends with a whole append, and returns where it ends.
func readTriples(t *testing.T, d journal.Door, from journal.Seq) journal.Seq {
	t.Helper()
	next := d.Next()
	records, err := d.Read(from, 1000)
	if err != nil {
		t.Errorf("Read from %d: %v", from, err)
	}
	for _, r := range records {
		if want := fmt.Sprintf("%d.%d", r.Seq/3, r.Seq%3); r.Seq != from || string(r.Body) != want {
			t.Errorf("record %d is %d %q, want %q", from, r.Seq, r.Body, want)
		}
		from++
	}
	if from < next || from%3 != 0 {
		t.Errorf("read up to %d when %d records were there", from, next)
	}
	return from
}

func testClose(t *testing.T, open func() journal.Door) {
	var want []string
	for i := range 3 {
		d := open()
		wantAll(t, d, want...)
		mustAppend(t, d, fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
		if err := d.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if err := d.Append(t.Context(), journal.Seq(len(want)), list([]string{"x"})); !errors.Is(err, journal.ErrStopped) {
			t.Errorf("Append after Close = %v, want ErrStopped", err)
		}
	}
}

func testContext(t *testing.T, open func() journal.Door) {
	d := open()
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Append(ctx, 0, list([]string{"x"})); !errors.Is(err, context.Canceled) {
		t.Errorf("Append = %v, want context.Canceled", err)
	}
	mustAppend(t, d, "a")
	wantAll(t, d, "a")
}
