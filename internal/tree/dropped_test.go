package tree_test

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
)

// A watched source tells which records were read.
type watched struct {
	records
	mu     *sync.Mutex
	lowest *journal.Seq
}

func watch(list records) watched {
	lowest := list.Size()
	return watched{list, new(sync.Mutex), &lowest}
}

func (w watched) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*w.lowest = min(*w.lowest, from)
	return w.records.Read(from, limit)
}

// TestOpenReadsOnlyTheTail checks that a start reads no record before From,
// whatever level file is damaged: a log of years must start in seconds.
func TestOpenReadsOnlyTheTail(t *testing.T) {
	for _, damaged := range []string{"", "level1", "level2"} {
		for _, from := range []journal.Seq{-5, 0, 1, 255, 256, 511, 599, 600, 5000} {
			dir, list, signed := signedLog(t)
			if damaged != "" {
				if err := dir.Remove(damaged); err != nil {
					t.Fatal(err)
				}
			}
			config := testConfig(dir, list)
			source := watch(list)
			config.Records, config.From = source, from
			tr, err := tree.Open(t.Context(), config)
			if err != nil {
				t.Fatalf("Open from %d: %v", from, err)
			}
			if want := min(max(from, 0), signedRecords); *source.lowest < want {
				t.Errorf("Open from %d read record %d", from, *source.lowest)
			}
			if _, err := tr.Check(t.Context(), list, entryOf, func(int64) {}); err != nil || tr.Latest().N != signed.N {
				t.Errorf("Check after Open from %d = %v", from, err)
			}
		}
	}
}

// TestChangedRecordFrom checks that a start refuses a record that was changed
// at or after From, and that Check refuses one before.
func TestChangedRecordFrom(t *testing.T) {
	for _, from := range []journal.Seq{0, 100, 300, 301, 599, 600} {
		dir, list, _ := signedLog(t)
		list = slices.Clone(list)
		list[300] = []byte("something else")
		config := testConfig(dir, list)
		config.From = from
		tr, err := tree.Open(t.Context(), config)
		if from <= 300 {
			wantDisagree(t, err, 300)
			continue
		}
		if err != nil {
			t.Fatalf("Open from %d: %v", from, err)
		}
		_, err = tr.Check(t.Context(), list, entryOf, func(int64) {})
		wantDisagree(t, err, 300)
	}
}

func wantDisagree(t *testing.T, err error, seq journal.Seq) {
	t.Helper()
	if disagree, ok := errors.AsType[*tree.DisagreeError](err); !ok || disagree.Seq != seq {
		t.Errorf("%v, want record %d to disagree", err, seq)
	}
}

// TestDropped checks that a log goes on without the records that retention
// dropped: their place in the tree, their proof and all others stay.
func TestDropped(t *testing.T) {
	for _, drop := range [][]int{{0}, {599}, {255, 256, 300}, upTo(600)} {
		dir, list, signed := signedLog(t)
		sparse := without(list, drop...)
		sparse = append(sparse, makeRecords(700)[600:]...)
		tr := open(t, dir, sparse)
		dropped, err := tr.Check(t.Context(), sparse, entryOf, func(int64) {})
		if err != nil || dropped != int64(len(drop)) || tr.Latest().N != signed.N {
			t.Errorf("Check without %d records = %d, %v", len(drop), dropped, err)
		}
		feed(t, tr, sparse, 100)
		if got, want := sign(t, tr).Hash, makeOracle(t, makeRecords(700)).root(t, 700); got != want {
			t.Error("the root without dropped records is not the one with them")
		}
		for seq := range journal.Seq(600) {
			entry, _ := entryOf(list[seq])
			c, err := tr.Commitment(seq)
			if err != nil || c.Entry() != entry {
				t.Fatalf("Commitment(%d) = %x, %v, want %x", seq, c, err, entry)
			}
			if _, err := tr.Prove(seq); err != nil {
				t.Fatalf("Prove(%d): %v", seq, err)
			}
		}
	}
}

// TestDroppedTooEarly checks that the tree does not take in a record of which
// nothing is left: it would sign over it.
func TestDroppedTooEarly(t *testing.T) {
	list := makeRecords(10)
	tr := open(t, new(disk.Mem), list)
	some, _ := without(list, 7).Read(0, 10)
	if err := tr.Apply(t.Context(), some); err == nil || tr.Cursor() != 0 {
		t.Errorf("Apply of a dropped record = %v, cursor %d", err, tr.Cursor())
	}
	feed(t, tr, list, 10)
}

// TestUnknownEntry checks that an entry of another form is not taken for one of
// ours: what is served is made from the commitment alone.
func TestUnknownEntry(t *testing.T) {
	list := makeRecords(1)
	config := testConfig(new(disk.Mem), list)
	config.EntryOf = func([]byte) (event.Entry, error) { return event.Entry{2}, nil }
	tr, err := tree.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	some, _ := list.Read(0, 1)
	if err := tr.Apply(t.Context(), some); err == nil {
		t.Error("an entry that starts with 2 was taken in")
	}
}

// TestDamagedCommitments flips one bit of the commitment of every seventh
// record. It is found, and mended where the record is there; where it was
// dropped, start is refused, and the error says which it may be and helps.
func TestDamagedCommitments(t *testing.T) {
	drop := []int{3, 250, 300, 301, 302, 560}
	random := rand.New(rand.NewPCG(3, 4))
	_, list, _ := signedLog(t)
	sparse := without(list, drop...)
	for seq := 0; seq < signedRecords; seq += 7 {
		damagedCommitment(t, sparse, seq, random.IntN(256))
	}
	for _, seq := range drop {
		damagedCommitment(t, sparse, seq, random.IntN(256))
	}
}

func damagedCommitment(t *testing.T, sparse records, seq, bit int) {
	t.Helper()
	dir, _, signed := signedLog(t)
	backup, err := disk.ReadFile(dir, "commitments")
	if err != nil {
		t.Fatal(err)
	}
	offset := int64(seq*32 + bit/8)
	dir.Flip("commitments", offset, bit%8)
	if sparse[seq] != nil {
		mended(t, dir, sparse, signed)
		return
	}
	lost(t, dir, sparse, journal.Seq(seq))
	if err := disk.ReplaceFile(dir, "commitments", backup); err != nil {
		t.Fatal(err)
	}
	open(t, dir, sparse)
}

// lost checks that Open refuses and says that the commitment of seq may be the
// one that is lost.
func lost(t *testing.T, dir *disk.Mem, list records, seq journal.Seq) {
	t.Helper()
	_, err := tree.Open(t.Context(), testConfig(dir, list))
	lost, ok := errors.AsType[*tree.LostError](err)
	if !ok || seq < lost.Seq || seq > lost.Last || list[lost.Seq] != nil || lost.Last-lost.Seq >= 256 || lost.Size != signedRecords {
		t.Errorf("Open = %v, want the commitment of record %d to be lost", err, seq)
	}
}

func lostExactly(t *testing.T, dir *disk.Mem, list records, seq journal.Seq) {
	t.Helper()
	_, err := tree.Open(t.Context(), testConfig(dir, list))
	if lost, ok := errors.AsType[*tree.LostError](err); !ok || lost.Seq != seq || lost.Last != seq {
		t.Errorf("Open = %v, want exactly the commitment of record %d to be lost", err, seq)
	}
}

// TestDamagedCommitmentFrom damages commitments of records that a start does
// not read. Check finds each, or the tile it is in, and a start that compares
// all of them mends it.
func TestDamagedCommitmentFrom(t *testing.T) {
	for _, seq := range []int64{0, 7, 255, 256, 511} {
		dir, list, signed := signedLog(t)
		dir.Flip("commitments", seq*32, 0)
		config := testConfig(dir, list)
		config.From = list.Size()
		tr, err := tree.Open(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tr.Check(t.Context(), list, entryOf, func(int64) {})
		wantDisagree(t, err, journal.Seq(seq))
		_, err = tr.Check(t.Context(), without(list, int(seq)), entryOf, func(int64) {})
		wantDisagree(t, err, journal.Seq(seq/256*256))
		if _, err := tr.Prove(journal.Seq(seq)); err == nil {
			t.Errorf("a receipt was given for record %d, whose commitment is damaged", seq)
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		mended(t, dir, list, signed)
	}
}

// TestShortCommitments cuts the file off. What was dropped before the cut is
// kept, what comes after it is made anew, and a backup that has all dropped
// records is enough.
func TestShortCommitments(t *testing.T) {
	for _, size := range []int64{0, 31, 300*32 - 1, 300 * 32, 301*32 - 1, 301 * 32, 599 * 32} {
		dir, list, signed := signedLog(t)
		sparse := without(list, 10, 300)
		mustCutShort(t, dir, "commitments", size)
		switch {
		case size <= 10*32:
			lostExactly(t, dir, sparse, 10)
		case size < 301*32:
			lostExactly(t, dir, sparse, 300)
		default:
			mended(t, dir, sparse, signed)
		}
	}
}

// TestChangedRecordBesideDropped checks that a record that was changed is named
// and not hidden behind one that was dropped.
func TestChangedRecordBesideDropped(t *testing.T) {
	cases := []struct {
		name string
		harm func(dir *disk.Mem)
	}{
		{"files intact", func(*disk.Mem) {}},
		{"commitment damaged in another tile", func(dir *disk.Mem) { dir.Flip("commitments", 20*32, 0) }},
		{"root damaged", func(dir *disk.Mem) { dir.Flip("level1", 0, 0) }},
	}
	for _, c := range cases {
		for _, seq := range []journal.Seq{290, 590} {
			dir, list, _ := signedLog(t)
			sparse := without(list, 280, 580)
			sparse[seq] = []byte("something else")
			c.harm(dir)
			_, err := tree.Open(t.Context(), testConfig(dir, sparse))
			if disagree, ok := errors.AsType[*tree.DisagreeError](err); !ok || disagree.Seq != seq {
				t.Errorf("%s: Open = %v, want record %d to disagree", c.name, err, seq)
			}
		}
	}
}

// TestOldFiles checks that files which the tree kept once are not believed, and
// do not stay.
func TestOldFiles(t *testing.T) {
	dir, list, signed := signedLog(t)
	if err := dir.Rename("commitments", "level0"); err != nil {
		t.Fatal(err)
	}
	if err := disk.ReplaceFile(dir, "entries", make([]byte, 35*signedRecords)); err != nil {
		t.Fatal(err)
	}
	mended(t, dir, list, signed)
	names, err := dir.List()
	want := []string{"checkpoint", "commitments", "level1", "level2", "level3", "level4", "level5"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("files are %v, %v, want %v", names, err, want)
	}
}

// TestCommitments checks that commitments are those of the records asked for,
// all or none, and never of one that the tree has not taken in.
func TestCommitments(t *testing.T) {
	dir, list, _ := signedLog(t)
	tr := open(t, dir, list)
	prefix := []event.Commitment{{1}}
	for _, c := range []struct {
		from journal.Seq
		n    int
		ok   bool
	}{
		{0, 0, true},
		{0, 600, true},
		{599, 1, true},
		{600, 0, true},
		{255, 2, true},
		{600, 1, false},
		{0, 601, false},
		{601, 0, false},
		{-1, 1, false},
		{5, -1, false},
		{1 << 62, 1 << 62, false},
		{1, int(^uint(0) >> 1), false},
	} {
		got, err := tr.Commitments(c.from, c.n, prefix)
		if (err == nil) != c.ok || c.ok && len(got) != 1+c.n || !c.ok && len(got) != 1 || got[0] != prefix[0] {
			t.Errorf("Commitments(%d, %d) = %d of them, %v", c.from, c.n, len(got), err)
			continue
		}
		for i, have := range got[1:] {
			if want, _ := entryOf(list[int(c.from)+i]); have.Entry() != want {
				t.Errorf("commitment of record %d is %x, want %x", int(c.from)+i, have, want)
			}
		}
	}
	if _, err := tr.Commitment(600); !errors.Is(err, tree.ErrNotYet) {
		t.Errorf("Commitment of a record to come = %v, want ErrNotYet", err)
	}
	mustCutShort(t, dir, "commitments", 100)
	if got, err := tr.Commitments(0, 600, nil); err == nil || len(got) != 0 {
		t.Errorf("Commitments of a file that was cut = %d of them, %v", len(got), err)
	}
}

// TestUpperLevels damages the root of a tile that is itself in a full tile. The
// checkpoint's root does not show it, and a start that compares the tail does
// not look for it; Check does, and a start that compares all mends it.
func TestUpperLevels(t *testing.T) {
	list := makeRecords(256*256 + 300)
	dir := new(disk.Mem)
	tr := open(t, dir, list)
	feed(t, tr, list, 1000)
	signed := sign(t, tr)
	for _, tile := range []int64{0, 100, 255} {
		dir.Flip("level1", tile*32, 0)
		config := testConfig(dir, list)
		config.From = list.Size() - 1
		var warned warnings
		config.Log = slog.New(&warned)
		tr, err := tree.Open(t.Context(), config)
		if err != nil || warned.n.Load() != 0 {
			t.Fatalf("Open that compares one record = %v, with %d warnings", err, warned.n.Load())
		}
		_, err = tr.Check(t.Context(), list, entryOf, func(int64) {})
		wantDisagree(t, err, journal.Seq(tile*256))
		mended(t, dir, list, signed)
	}
	dir.Flip("level2", 0, 0)
	mended(t, dir, list, signed)
}

// A fickle source gives another record once the last was read, so many times.
type fickle struct {
	records
	steady *int
}

func (f fickle) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	list, err := f.records.Read(from, limit)
	if *f.steady == 0 {
		for i := range list {
			list[i].Body = []byte("something else")
		}
	} else if from+journal.Seq(len(list)) == f.Size() {
		*f.steady--
	}
	return list, err
}

// TestRecordsThatChangeWhileMending checks that files are replaced only by such
// as give the signed root: what is in them of dropped records is the last copy.
func TestRecordsThatChangeWhileMending(t *testing.T) {
	dir, list, signed := signedLog(t)
	dir.Flip("commitments", 599*32, 0)
	before, _ := disk.ReadFile(dir, "commitments")
	sparse := without(list, 4)
	steady := 1
	_, err := tree.Open(t.Context(), testConfig(dir, fickle{sparse, &steady}))
	after, _ := disk.ReadFile(dir, "commitments")
	if err == nil || steady != 0 || !slices.Equal(before, after) {
		t.Errorf("Open = %v, commitments are as they were: %t", err, slices.Equal(before, after))
	}
	mended(t, dir, sparse, signed)
}

// TestPowerCutInMending pulls the plug at every operation of a start that makes
// the files anew, and again starts with what is left, reading as little as it
// may. If a dropped record's commitment were lost on the way, nothing could
// bring it back.
func TestPowerCutInMending(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	keeps := map[string]func(i, n int) int{
		"nothing":                 func(_, _ int) int { return 0 },
		"all":                     func(_, n int) int { return n },
		"anything":                func(_, n int) int { return random.IntN(n + 1) },
		"all but one file's name": func(i, n int) int { return min(i%6, 1) * n }, // six are created, six renamed
	}
	harms := map[string]func(dir *disk.Mem){
		"commitment": func(dir *disk.Mem) { dir.Flip("commitments", 580*32, 0) },
		"root":       func(dir *disk.Mem) { dir.Flip("level1", 32, 0) },
		"both": func(dir *disk.Mem) {
			dir.Flip("commitments", 20*32, 0)
			dir.Flip("level1", 32, 0)
		},
	}
	for keepName, keep := range keeps {
		for harmName, harm := range harms {
			t.Run(harmName+", keeping "+keepName, func(t *testing.T) {
				for cut, more := 1, true; more; cut++ {
					dir, list, signed := signedLog(t)
					harm(dir)
					asked := -1
					more = cutMending(t, dir, without(list, 2, 300, 590), signed, cut, func(n int) int {
						asked++
						return keep(asked, n)
					})
				}
			})
		}
	}
}

// cutMending reports whether there was an operation to cut.
func cutMending(t *testing.T, dir *disk.Mem, list records, signed tree.Signed, cut int, keep func(n int) int) bool {
	t.Helper()
	var crashed *disk.Mem
	step := 0
	dir.Fail = func(string, string) error {
		if step++; step == cut {
			crashed = dir.Crash(keep)
		}
		if crashed != nil {
			return disk.ErrInjected
		}
		return nil
	}
	config := testConfig(dir, list)
	config.From = list.Size()
	config.Log = slog.New(slog.DiscardHandler)
	_, err := tree.Open(t.Context(), config)
	if crashed == nil {
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		return false
	}
	config = testConfig(crashed, list)
	config.From = list.Size()
	tr, err := tree.Open(t.Context(), config)
	if err != nil {
		t.Fatalf("cut at %d: Open: %v", cut, err)
	}
	if dropped, err := tr.Check(t.Context(), list, entryOf, func(int64) {}); err != nil || dropped != 3 || tr.Latest().Hash != signed.Hash {
		t.Fatalf("cut at %d: Check = %d dropped, %v", cut, dropped, err)
	}
	names, err := crashed.List()
	if err != nil || len(names) != 7 {
		t.Fatalf("cut at %d: files are %v, %v", cut, names, err)
	}
	return true
}
