package backup_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/gen"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/internal/view"
)

var (
	start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	quiet = slog.New(slog.DiscardHandler)
)

// dirs are the directories of a data directory.
func dirs() ([]string, error) {
	return []string{"journal", "retain", "retain/erasures", "signing", "store", "tree"}, nil
}

// A rig is the parts of a log that a backup is about, running.
type rig struct {
	*store.Store

	data    disk.FS // as the log sees it
	files   *journal.Files
	journal *journal.Journal
	tree    *tree.Tree
	gen     *gen.Generator
	made    int
	stop    func()
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func sub(t testing.TB, data disk.FS, name string) disk.FS {
	t.Helper()
	return must[disk.FS](t)(data.Sub(name))
}

// run opens and runs the log in data, and makes it if there is none.
func run(t testing.TB, data disk.FS) *rig {
	t.Helper()
	return runWith(t, data, 300)
}

func runWith(t testing.TB, data disk.FS, sealRows int) *rig {
	t.Helper()
	c := must[*catalogue.Catalogue](t)(catalogue.Load())
	r := &rig{data: data, gen: gen.New(c, 1, start)}
	signing := sub(t, data, "signing")
	keys, err := tree.LoadKeys(signing)
	if err != nil {
		keys = must[*tree.Keys](t)(tree.GenerateKeys("log.example/test"))
		if err := keys.Save(signing); err != nil {
			t.Fatal(err)
		}
	}
	r.Store = must[*store.Store](t)(store.Open(store.Config{Dir: sub(t, data, "store"), Log: quiet, Family: c.RetentionOf, SealRows: sealRows}))
	r.files = must[*journal.Files](t)(journal.OpenFiles(sub(t, data, "journal"), journal.From(r.Sealed())))
	r.journal = journal.New(r.files)
	r.journal.SetPast(r.Store)
	trees := sub(t, data, "tree")
	r.tree = must[*tree.Tree](t)(tree.Open(context.Background(), tree.Config{
		Dir: trees, Head: tree.FileHead(trees), Keys: keys, Records: r.journal, EntryOf: tree.StoredEntry, From: r.files.First(), Log: quiet,
	}))
	r.Connect(store.Parts{
		Journal: r.journal, Tail: r.files, Tree: r.tree, Signed: func() journal.Seq { return journal.Seq(r.tree.Latest().N) },
	})
	r.made = int(r.journal.Size())
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, part := range []func(context.Context) error{
		r.journal.Run, r.tree.Run, r.Run,
		func(ctx context.Context) error { return view.Follow(ctx, quiet, r.journal, r.tree) },
		func(ctx context.Context) error { return view.Follow(ctx, quiet, r.journal, r.Store) },
	} {
		all.Go(func() { _ = part(ctx) }) // what goes wrong shows in the answers
	}
	r.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
		_ = r.files.Close()
		_ = r.tree.Close()
		_ = r.Close()
	})
	t.Cleanup(r.stop)
	return r
}

// add records n events, and waits until they are signed over.
func (r *rig) add(t testing.TB, n int) {
	t.Helper()
	var p event.Parser
	key := r.OpenKey()
	var bodies [][]byte
	for range n {
		p.Added = append(p.Added[:0], event.TimeField("received", start.Add(time.Duration(r.made)*time.Second)),
			event.StringField("source", "registry"), event.StringField("trust", "witnessed"))
		f, err := p.Parse(r.gen.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		var s event.Secrets
		for i := range f {
			f[i].Private = f[i].Name == "context.ip" || f[i].Name == "actor.name" || f[i].Name == "context.user_agent"
		}
		s.Open = event.OpenSecret(&key, f.Text("source"), f.Text("id"))
		binary.LittleEndian.PutUint64(s.Private[:], uint64(r.made)*0x9e3779b97f4a7c15+1)
		body, _ := event.AppendRecord(nil, f, &s)
		bodies = append(bodies, body)
		r.made++
	}
	for len(bodies) > 0 {
		some := bodies[:min(100, len(bodies))]
		if _, err := r.journal.Append(context.Background(), some...); err != nil {
			t.Fatal(err)
		}
		bodies = bodies[len(some):]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.tree.WaitFor(ctx, r.journal.Size()-1); err != nil {
		t.Fatal(err)
	}
}

// seal has everything in segments.
func (r *rig) seal(t testing.TB) {
	t.Helper()
	if _, err := r.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// answers returns what the log answers to some questions, in one text.
func (r *rig) answers(t testing.TB, upTo int) string {
	t.Helper()
	for r.Cursor() < r.journal.Size() {
		runtime.Gosched()
	}
	var text strings.Builder
	for _, q := range []string{"", "class:user", "tag:project:release:add"} {
		query := must[*query.Query](t)(query.Parse(q, start))
		a := must[*store.Answer](t)(r.Search(context.Background(), store.Request{Query: query, Oldest: true, Limit: 1000}))
		for _, f := range a.Found {
			if int(f.Seq) < upTo {
				fmt.Fprintln(&text, f.Seq, f.Record.Open().Text("id"), f.Record.Open().Text("actor.name"), f.Record.Commitment)
			}
		}
	}
	return text.String()
}

// make backs data up.
func makeBackup(t testing.TB, data, dest disk.FS, set func(*backup.Config)) *backup.Made {
	t.Helper()
	c := backup.Config{Source: backup.Source{FS: data, Dirs: dirs}, Dest: dest, Now: start}
	if set != nil {
		set(&c)
	}
	return must[*backup.Made](t)(backup.Make(context.Background(), c))
}

// restore returns a new data directory made of the backup in dest.
func restore(t testing.TB, dest disk.FS) *disk.Mem {
	t.Helper()
	b := must[*backup.Backup](t)(backup.Open(dest))
	data := new(disk.Mem)
	if err := backup.Restore(context.Background(), backup.Restoring{Backup: b, Dest: data}); err != nil {
		t.Fatal(err)
	}
	return data
}

// check returns what a check of data finds.
func check(t testing.TB, data disk.FS, set func(*backup.Checking)) *backup.Report {
	t.Helper()
	c := backup.Checking{Data: data}
	if set != nil {
		set(&c)
	}
	return must[*backup.Report](t)(backup.Check(context.Background(), c))
}

// sound fails the test if something is wrong with the log in data.
func sound(t testing.TB, data disk.FS) *backup.Report {
	t.Helper()
	r := check(t, data, func(c *backup.Checking) { c.Deep = true })
	if r.Wrong > 0 || r.Origin == "" {
		t.Fatalf("check found %+v, signed by %q", r.Findings, r.Origin)
	}
	return r
}
