package tree_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
)

// A fatal is the part of testing.TB that rapid.T offers too.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}

// records is a journal of bodies that never loses any.
type records [][]byte

func (r records) Size() journal.Seq { return journal.Seq(len(r)) }

func (r records) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	var list []journal.Record
	for seq := from; seq < r.Size() && len(list) < limit; seq++ {
		list = append(list, journal.Record{Seq: seq, Body: r[seq]})
	}
	return list, nil
}

// makeRecords returns n records of no particular content.
func makeRecords(n int) records {
	list := make(records, n)
	for i := range list {
		list[i] = fmt.Appendf(nil, "body %d", i)
	}
	return list
}

// without returns list after retention dropped some of it.
func without(list records, dropped ...int) records {
	list = slices.Clone(list)
	for _, seq := range dropped {
		list[seq] = nil
	}
	return list
}

// upTo returns the numbers below n.
func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// entryOf is a stand-in for the commitment of an event.
func entryOf(body []byte) (event.Entry, error) {
	if len(body) == 0 {
		return event.Entry{}, errors.New("not a record")
	}
	return event.Commitment(sha256.Sum256(body)).Entry(), nil
}

// An oracle is the same tree made by golang.org/x/mod/sumdb/tlog.
type oracle []tlog.Hash

func (o oracle) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		list[i] = o[x]
	}
	return list, nil
}

func makeOracle(t fatal, list records) oracle {
	t.Helper()
	var o oracle
	for i, body := range list {
		entry, err := entryOf(body)
		if err != nil {
			t.Fatalf("entryOf: %v", err)
		}
		hashes, err := tlog.StoredHashes(int64(i), entry[:], o)
		if err != nil {
			t.Fatalf("StoredHashes: %v", err)
		}
		o = append(o, hashes...)
	}
	return o
}

func (o oracle) root(t fatal, n int64) tlog.Hash {
	t.Helper()
	root, err := tlog.TreeHash(n, o)
	if err != nil {
		t.Fatalf("TreeHash: %v", err)
	}
	return root
}

// testKeys are the same in every run: a key is made once.
var testKeys = sync.OnceValue(func() *tree.Keys {
	seed := bytes.NewReader(bytes.Repeat([]byte{7}, 64))
	skey, _, err := note.GenerateKey(seed, "log.example")
	if err != nil {
		panic(err)
	}
	keys, err := tree.ParseKeys([]byte(skey))
	if err != nil {
		panic(err)
	}
	return keys
})

// testConfig is how tests open a tree.
func testConfig(dir disk.FS, list tree.Source) tree.Config {
	return tree.Config{
		Dir: dir, Head: tree.FileHead(dir), Keys: testKeys(),
		Records: list, EntryOf: entryOf, Log: slog.New(slog.DiscardHandler),
	}
}

// open opens a tree over list in dir.
func open(t fatal, dir disk.FS, list tree.Source) *tree.Tree {
	t.Helper()
	tr, err := tree.Open(context.Background(), testConfig(dir, list))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return tr
}

// feed applies the records of list that tr has not seen, at most batch at once.
func feed(t fatal, tr *tree.Tree, list records, batch int) {
	t.Helper()
	for tr.Cursor() < list.Size() {
		some, _ := list.Read(tr.Cursor(), batch)
		if err := tr.Apply(context.Background(), some); err != nil {
			t.Fatalf("Apply: %v", err)
		}
	}
}

// sign lets tr sign until its latest checkpoint covers all its records.
func sign(t fatal, tr *tree.Tree) tree.Signed {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	for seq := tr.Cursor(); tr.Latest().Message == nil || tr.Latest().N < int64(seq); {
		if err := tr.WaitNewer(ctx, tr.Latest()); err != nil {
			cancel()
			t.Fatalf("no checkpoint for %d records: %v; Run: %v", seq, err, <-done)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("Run: %v", err)
	}
	return tr.Latest()
}

func mustCutShort(t *testing.T, dir *disk.Mem, name string, size int64) {
	t.Helper()
	f, err := dir.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}
