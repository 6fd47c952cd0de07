package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// built builds the program once for all tests.
var built = sync.OnceValues(func() (*env, error) {
	dir, err := os.MkdirTemp("", "custody-peers-")
	return &env{home: dir, options: new(options)}, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if e, err := built(); err == nil {
		os.RemoveAll(e.home)
	}
	os.Exit(code)
}

// smallCustody returns options for the program, which compares the times of events
// with the clock.
func smallCustody(t *testing.T) *options {
	t.Helper()
	if testing.Short() {
		t.Skip("the program is not built for a short test")
	}
	e, err := built()
	if err != nil {
		t.Fatal(err)
	}
	program, err := custodyProgram(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return small(t, "-custody", program, "-end", time.Now().UTC().Truncate(time.Hour).Format(time.RFC3339))
}

// leftInJournal lets the program keep all events and end before it sealed any. It
// returns where, and what is to be asked.
func leftInJournal(t *testing.T, o *options) (*env, *plan) {
	t.Helper()
	e, file := &env{home: t.TempDir(), options: o}, filepath.Join(t.TempDir(), eventsFile)
	if err := makeEvents(o, file); err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(o, file)
	if err != nil {
		t.Fatal(err)
	}
	program, err := openCustody(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openCustodyInside(t.Context(), e); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("beside a program that runs: %v, want %v", err, disk.ErrLocked)
	}
	b := new(batch)
	err = eachEvent(file, func(number int64, data []byte) error {
		b.lines = append(append(b.lines, data...), '\n')
		if number+1 < int64(o.Events) {
			return nil
		}
		return program.write(t.Context(), b)
	})
	if err := errors.Join(err, program.close()); err != nil {
		t.Fatal(err)
	}
	return e, p
}

// A column that left out what the program had not sealed yet would be a fast one,
// and one that changes the files would spoil what is measured next.
func TestCustodyInside(t *testing.T) {
	e, p := leftInJournal(t, smallCustody(t))
	before := filesIn(t, e.home)
	opened, err := openCustodyInside(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	inside := opened.(*custodyInside)
	if n := inside.data.store.Sealed(); n > 0 {
		t.Fatalf("%d records are sealed: this is about those that are not", n)
	}
	for _, x := range topics {
		for _, q := range p.Questions[x.topic] {
			read, err := inside.ask(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if a, err := read(); err != nil {
				t.Error(err)
			} else if err := q.check(a); err != nil {
				t.Error(err)
			}
		}
	}
	if err := inside.close(); err != nil {
		t.Error(err)
	}
	if after := filesIn(t, e.home); !maps.Equal(before, after) {
		t.Errorf("reading changed files: there were %v, there are %v", before, after)
	}
}

// filesIn returns what tells whether the files in a directory were changed.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := eachFile(dir, func(path string, info fs.FileInfo) error {
		all[path] = fmt.Sprint(info.Size(), info.ModTime())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An event whose commitment is another's is not the event that was kept.
func TestCustodyInsideIsWhole(t *testing.T) {
	o := smallCustody(t)
	e, p := leftInJournal(t, o)
	sealing, err := openCustody(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sealing.settle(t.Context()), sealing.close()); err != nil {
		t.Fatal(err)
	}
	opened, err := openCustodyInside(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.close()
	data := opened.(*custodyInside).data
	if n := data.store.Sealed(); int(n) < o.Events {
		t.Fatalf("%d records are sealed, want those of all events", n)
	}
	everything, err := query.Parse("", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	found := idSum{}
	err = data.store.Walk(t.Context(), store.Request{Query: everything, Limit: store.MaxFound}, func(page *store.Answer) error {
		a := new(answer)
		for i := range page.Found {
			if err := page.Found[i].Record.Verify(); err != nil {
				return fmt.Errorf("record %d: %w", page.Found[i].Seq, err)
			}
			if err := a.readFound(&page.Found[i]); err != nil {
				return err
			}
		}
		for _, number := range a.numbers {
			found.add(number)
		}
		return nil
	})
	if err != nil || found != p.IDs {
		t.Errorf("found %+v, %v; want %+v", found, err, p.IDs)
	}
}
