package tree_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
)

// TestTilesAreThoseOfTlog compares every tile, full and partial, of every tree
// of up to 1100 records with the reference implementation. A reader with any
// other tlog-tiles client would otherwise see a broken log.
func TestTilesAreThoseOfTlog(t *testing.T) {
	const most = 1100
	list := makeRecords(most)
	want := makeOracle(t, list)
	dir := new(disk.Mem)
	tr := open(t, dir, list)
	for n := int64(0); n <= most; n++ {
		feed(t, tr, list[:n], 7)
		if n%50 != 0 && n != 255 && n != 257 {
			continue
		}
		signed := sign(t, tr)
		if signed.N != n || signed.Hash != want.root(t, n) {
			t.Fatalf("signed %d %v, want %d %v", signed.N, signed.Hash, n, want.root(t, n))
		}
		for _, tile := range tlog.NewTiles(8, 0, n) {
			compareTile(t, tr, want, tile)
		}
	}
	for n := int64(1); n <= most; n++ { // every size that could have been signed
		for _, tile := range tlog.NewTiles(8, n-1, n) {
			compareTile(t, tr, want, tile)
		}
	}
	for seq := range int64(most) {
		compareEntry(t, tr, list, seq)
	}
}

func compareTile(t *testing.T, tr *tree.Tree, want oracle, tile tlog.Tile) {
	t.Helper()
	got, err := tr.ReadTile(tile.L, tile.N, tile.W)
	if err != nil {
		t.Fatalf("ReadTile %s: %v", tile.Path(), err)
	}
	data, err := tlog.ReadTileData(tile, want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("tile %s differs from the reference", tile.Path())
	}
}

func compareEntry(t *testing.T, tr *tree.Tree, list records, seq int64) {
	t.Helper()
	bundle, err := tr.ReadEntries(seq/256, int(seq%256)+1)
	if err != nil {
		t.Fatalf("ReadEntries: %v", err)
	}
	entry, _ := entryOf(list[seq])
	want := append([]byte{0, event.EntryBytes}, entry[:]...)
	if got := bundle[len(bundle)-len(want):]; !bytes.Equal(got, want) {
		t.Fatalf("entry %d is %x, want %x", seq, got, want)
	}
}

// TestEverySizeHasTheRightRoot checks the root the tree would sign for every
// size, with every way to cut the records into batches of one size.
func TestEverySizeHasTheRightRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := makeRecords(600)
		want := makeOracle(t, list)
		tr := open(t, new(disk.Mem), list)
		run(t, tr)
		for n := int64(0); n <= 600; n++ {
			feed(t, tr, list[:n], 600)
			time.Sleep(tree.SignInterval)
			synctest.Wait()
			if got := tr.Latest(); got.N != n || got.Hash != want.root(t, n) {
				t.Fatalf("signed %d %v, want %d %v", got.N, got.Hash, n, want.root(t, n))
			}
		}
	})
}

// run lets tr sign until the test ends.
func run(t *testing.T, tr *tree.Tree) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestProofs checks that what Prove and Consistency return convinces somebody
// who has only the checkpoint.
func TestProofs(t *testing.T) {
	list := makeRecords(700)
	dir := new(disk.Mem)
	tr := open(t, dir, list)
	var heads []tree.Signed
	for _, n := range []int{1, 2, 255, 256, 257, 513, 700} {
		feed(t, tr, list[:n], 100)
		heads = append(heads, sign(t, tr))
	}
	policy, _ := testKeys().Policy()
	for seq := range list.Size() {
		p, err := tr.Prove(seq)
		if err != nil {
			t.Fatalf("Prove(%d): %v", seq, err)
		}
		entry, _ := entryOf(list[seq])
		if _, err := p.Check(policy, tlog.RecordHash(entry[:])); err != nil {
			t.Fatalf("proof of record %d: %v", seq, err)
		}
	}
	for i, old := range heads {
		for _, larger := range heads[i:] {
			path, err := tr.Consistency(old.N, larger.N)
			if err != nil {
				t.Fatalf("Consistency(%d, %d): %v", old.N, larger.N, err)
			}
			if err := tlog.CheckTree(path, larger.N, larger.Hash, old.N, old.Hash); err != nil {
				t.Errorf("consistency of %d and %d: %v", old.N, larger.N, err)
			}
		}
	}
}

// TestNotYet checks that a record is not proved before a checkpoint covers it,
// and that waiting for one ends when it does.
func TestNotYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := makeRecords(3)
		tr := open(t, new(disk.Mem), list)
		if _, err := tr.Prove(0); !errors.Is(err, tree.ErrNotYet) {
			t.Errorf("Prove before anything is signed = %v, want ErrNotYet", err)
		}
		if _, err := tr.ReadTile(0, 0, 1); !errors.Is(err, tree.ErrNoTile) {
			t.Errorf("ReadTile before anything is signed = %v, want ErrNoTile", err)
		}
		run(t, tr)
		waited := make(chan error, 1)
		go func() { waited <- tr.WaitFor(t.Context(), 2) }()
		feed(t, tr, list[:2], 2)
		for _, width := range []int{1, 2} {
			if _, err := tr.ReadTile(0, 0, width); !errors.Is(err, tree.ErrNoTile) {
				t.Errorf("ReadTile of records that are not signed = %v, want ErrNoTile", err)
			}
		}
		time.Sleep(time.Second)
		select {
		case err := <-waited:
			t.Fatalf("WaitFor(2) of 2 records returned %v", err)
		default:
		}
		if _, err := tr.Prove(2); !errors.Is(err, tree.ErrNotYet) {
			t.Errorf("Prove(2) of 2 records = %v, want ErrNotYet", err)
		}
		feed(t, tr, list, 1)
		if err := <-waited; err != nil {
			t.Errorf("WaitFor = %v", err)
		}
		if _, err := tr.Prove(2); err != nil {
			t.Errorf("Prove after WaitFor = %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := tr.WaitFor(ended, 3); !errors.Is(err, context.Canceled) {
			t.Errorf("WaitFor with an ended context = %v", err)
		}
	})
}

// TestSignInterval checks that signing is bounded however fast records come:
// each signature costs syncs of several files.
func TestSignInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := makeRecords(1000)
		tr := open(t, new(disk.Mem), list)
		run(t, tr)
		sizes := make(map[int64]bool)
		start := time.Now()
		for n := range list {
			feed(t, tr, list[:n+1], 1)
			time.Sleep(time.Millisecond)
			synctest.Wait()
			sizes[tr.Latest().N] = true
		}
		most := int(time.Since(start)/tree.SignInterval) + 2
		if len(sizes) > most || len(sizes) < most/2 {
			t.Errorf("%d checkpoints in %v, want at most %d", len(sizes), time.Since(start), most)
		}
	})
}

// TestWitnessed checks that a tree that waits for witnesses makes public only
// what it is told to, and never a smaller size after a larger.
func TestWitnessed(t *testing.T) {
	list := makeRecords(10)
	config := testConfig(new(disk.Mem), list)
	config.Witnessed = true
	tr, err := tree.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	feed(t, tr, list[:4], 4)
	first := sign(t, tr)
	if err := tr.Publish(first.Message); err != nil {
		t.Fatalf("Publish: %v", err)
	}
	feed(t, tr, list, 4)
	second := sign(t, tr)
	if got := tr.Checkpoint(); got.N != first.N {
		t.Errorf("public size %d, want %d: nobody published %d", got.N, first.N, second.N)
	}
	if p, err := tr.Prove(9); err != nil || !bytes.Equal(p.Checkpoint, second.Message) {
		t.Errorf("Prove of a record beyond the public checkpoint does not use the latest: %v", err)
	}
	if p, err := tr.Prove(3); err != nil || !bytes.Equal(p.Checkpoint, first.Message) {
		t.Errorf("Prove of a record in the public checkpoint does not use it: %v", err)
	}
	if err := tr.Publish(second.Message); err != nil {
		t.Fatalf("Publish: %v", err)
	}
	if err := tr.Publish(first.Message); err == nil {
		t.Error("Publish of a smaller size succeeded")
	}
	if err := tr.Publish([]byte("log.example\n")); err == nil {
		t.Error("Publish of something unsigned succeeded")
	}
}

// Many receipts that are to be checked together must be under one checkpoint,
// though the log goes on signing while they are made.
func TestProveAtAnEarlierCheckpoint(t *testing.T) {
	list := makeRecords(700)
	tr := open(t, new(disk.Mem), list)
	feed(t, tr, list[:300], 100)
	first := sign(t, tr)
	feed(t, tr, list, 100)
	sign(t, tr)
	for _, seq := range []journal.Seq{0, 255, 299} {
		p, err := tr.ProveAt(seq, first)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := entryOf(list[seq])
		if err != nil {
			t.Fatal(err)
		}
		err = tlog.CheckRecord(p.Path, first.N, first.Hash, int64(seq), tlog.RecordHash(entry[:]))
		if err != nil || !bytes.Equal(p.Checkpoint, first.Message) {
			t.Errorf("ProveAt %d under the first checkpoint: %v", seq, err)
		}
	}
	for _, seq := range []journal.Seq{-1, 300, 699} {
		if _, err := tr.ProveAt(seq, first); !errors.Is(err, tree.ErrNotYet) {
			t.Errorf("ProveAt %d = %v, want ErrNotYet", seq, err)
		}
	}
}
