package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// How long the events below, and what is personal in them, are kept.
const (
	keptBulk     = 100 * 24 * time.Hour // of family bulk
	keptPersonal = 10 * 24 * time.Hour  // of family user
)

// limitOf is the Limit of a store for these.
func limitOf(family string, now time.Time) (events, personal time.Time) {
	if family == "bulk" {
		return now.Add(-keptBulk), time.Time{}
	}
	return time.Time{}, now.Add(-keptPersonal)
}

// familyOf is the Family for these.
func familyOf(tag string) string {
	if strings.HasPrefix(tag, "user:") {
		return "user"
	}
	return "bulk"
}

// plainRecord returns the record of an event at a time. That of a user's has the
// actor's name as a personal field.
func plainRecord(seq int, at time.Time, tag, actor string) []byte {
	f := event.Fields{
		{Name: "actor.name", Type: event.String, Value: []byte(actor), Private: true},
		event.StringField("id", fmt.Sprintf("event-%d", seq)), event.StringField("source", "registry"),
		event.StringField("tag", tag), event.TimeField("time", at),
	}
	s := event.Secrets{Open: [16]byte{byte(seq), 1}, Private: [16]byte{byte(seq), 2}}
	body, _ := event.AppendRecord(nil, f, &s)
	return body
}

// plainJournal returns n records, an hour apart, of two families, of three
// actors. Some come late.
func plainJournal(n int) *memory {
	m := new(memory)
	for i := range n {
		at := start.Add(time.Duration(i) * time.Hour)
		if i%7 == 6 {
			at = at.Add(-10 * time.Hour)
		}
		m.records = append(m.records, journal.Record{
			Seq:  m.Size(),
			Body: plainRecord(i, at, []string{"user:login", "project:create"}[i%2], actorOf(i)),
		})
	}
	return m
}

// actorOf returns who did event i. Of one of them the events will be erased, when
// 40 are there.
func actorOf(i int) string {
	if i < 40 && i/2%3 == 2 {
		return "erased-name"
	}
	return []string{"alice", "bob"}[i/2%2]
}

// A partJournal is a journal that drops records, and a tree that does not.
type partJournal struct {
	*memory
	first journal.Seq // records before it are dropped
}

func (j *partJournal) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	if from < j.first {
		return nil, fmt.Errorf("record %d was dropped", from)
	}
	return j.memory.Read(from, limit)
}

// Rotate implements [store.Tail].
func (j *partJournal) Rotate(context.Context) error { return nil }

// Drop implements [store.Tail].
func (j *partJournal) Drop(_ context.Context, before journal.Seq) (int, error) {
	j.first = max(j.first, before)
	return 0, nil
}

// A life is one run of a store, until its end or a power cut.
type life struct {
	mu sync.Mutex // of what power counts: segments are written side by side

	t       *testing.T
	dir     *disk.Mem
	journal *partJournal
	now     time.Time

	step, cutAt int                  // operations on the disk so far; the one in which the power goes, or 0
	names       bool                 // the power goes only when names of files change
	keep        func(n int) int      // what the disk keeps, see [disk.Mem.Crash]
	crashed     *disk.Mem            // what it holds after the cut
	purging     [2]bool              // begun, done
	erasing     [2]bool              // begun, done
	seen        map[journal.Seq]bool // what was told of as touched by the erasure
}

func (l *life) power(op, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if op == "read" || op == "list" {
		return nil
	}
	if l.names && op != "rename" && op != "syncdir" && op != "remove" {
		return l.dead()
	}
	if l.step++; l.step == l.cutAt {
		l.crashed = l.dir.Crash(l.keep)
	}
	return l.dead()
}

func (l *life) dead() error {
	if l.crashed != nil {
		return disk.ErrInjected
	}
	return nil
}

// open opens the store, or returns nil if the power went.
func (l *life) open() *store.Store {
	l.dir.Fail = l.power
	s, err := store.Open(store.Config{
		Dir: l.dir, Log: slog.New(slog.DiscardHandler), Family: familyOf, Limit: limitOf, SealRows: 1000, CacheBytes: 1,
	})
	if err != nil {
		l.unlessCut("Open", err)
		return nil
	}
	s.SetNow(func() time.Time { return l.now })
	s.Connect(store.Parts{Journal: l.journal, Tail: l.journal, Tree: l.journal.memory})
	if s.Sealed() < l.journal.first {
		l.t.Fatalf("cut at %d: the journal dropped what is before %d, sealed is %d", l.cutAt, l.journal.first, s.Sealed())
	}
	return s
}

func (l *life) unlessCut(what string, err error) {
	l.t.Helper()
	if l.crashed == nil {
		l.t.Fatalf("%s: %v", what, err)
	}
}

// live takes in all records and seals, merges, purges and erases on the way.
func (l *life) live() {
	s := l.open()
	if s == nil {
		return
	}
	defer func() { _ = s.Close() }() // the power may be gone
	ctx := context.Background()
	stages := []func() error{
		func() error { return l.feed(s, 10) }, func() error { return l.feed(s, 20) }, func() error { return l.feed(s, 30) },
		func() error { return l.feed(s, 40) },
		func() error { return s.Tidy(ctx) },
		func() error { return l.erase(s) },
		func() error { return l.purge(s) },
		func() error { return l.feed(s, 45) },
	}
	for _, stage := range stages {
		if err := stage(); err != nil {
			l.unlessCut("the store", err)
			return
		}
	}
}

// feed applies records up to n and seals them.
func (l *life) feed(s *store.Store, n journal.Seq) error {
	if s.Cursor() >= n {
		return nil
	}
	some, err := l.journal.Read(s.Cursor(), int(n-s.Cursor()))
	if err != nil {
		return err
	}
	if err := s.Apply(context.Background(), some); err != nil {
		return err
	}
	return l.seal(s)
}

// seal seals what was applied; the journal of these tests has more already.
func (l *life) seal(s *store.Store) error {
	whole := l.journal.records
	defer func() { l.journal.records = whole }()
	l.journal.records = whole[:s.Cursor()]
	_, err := s.Seal(context.Background())
	return err
}

func (l *life) erase(s *store.Store) error {
	whole := l.journal.records
	defer func() { l.journal.records = whole }()
	l.journal.records = whole[:s.Cursor()]
	l.erasing[0] = true
	l.seen = make(map[journal.Seq]bool)
	_, err := s.Erase(context.Background(), store.Erasure{Query: parse(l.t, "actor:erased-name"), Fields: func(_ journal.Seq, r *event.Record) []int {
		if f := r.Fields[0]; f.Erased || string(f.Value) != "erased-name" {
			return nil
		}
		return []int{0}
	}})
	l.erasing[1] = err == nil
	return err
}

func (l *life) purge(s *store.Store) error {
	l.purging[0] = true
	l.now = start.Add(keptBulk + 25*time.Hour)
	_, err := s.Purge(context.Background())
	l.purging[1] = err == nil
	return err
}

func parse(t testing.TB, text string) *query.Query {
	t.Helper()
	q, err := query.Parse(text, start)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// check opens what a cut left, feeds it all, and looks at every record by
// position and by search.
func (l *life) check(before *life) {
	s := l.open()
	if s == nil {
		return
	}
	defer func() {
		if err := s.Close(); err != nil {
			l.t.Fatal(err)
		}
	}()
	if names, err := l.dir.List(); err != nil || !slices.Equal(names, s.Files()) {
		l.t.Fatalf("cut at %d: there are files %v, the manifest knows %v; %v", before.cutAt, names, s.Files(), err)
	}
	some, err := l.journal.Read(s.Cursor(), 1000)
	if err == nil {
		err = s.Apply(context.Background(), some)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.checkRead(s, before)
	l.checkSearch(s, before)
}

// checkRead looks at all records in segments by position.
func (l *life) checkRead(s *store.Store, before *life) {
	list, err := s.Read(0, 1000)
	if err != nil || len(list) != int(s.Sealed()) {
		l.t.Fatalf("cut at %d: Read gives %d records of %d, %v", before.cutAt, len(list), s.Sealed(), err)
	}
	for i, r := range list {
		want := l.journal.records[i]
		was, err := event.DecodeRecord(want.Body)
		if err != nil {
			l.t.Fatal(err)
		}
		past := familyOf(textOf(was, "tag")) == "bulk" && timeOf(was).Before(before.now.Add(-keptBulk))
		old := familyOf(textOf(was, "tag")) == "user" && timeOf(was).Before(before.now.Add(-keptPersonal))
		switch {
		case r.Seq != journal.Seq(i):
			l.t.Fatalf("cut at %d: record %d is %d", before.cutAt, i, r.Seq)
		case r.Body == nil && past && before.purging[0], bytes.Equal(r.Body, want.Body):
			continue
		case r.Body == nil:
			l.t.Fatalf("cut at %d: record %d is not there", before.cutAt, i)
		}
		is, err := event.DecodeRecord(r.Body)
		if err != nil {
			l.t.Fatal(err)
		}
		if err := is.Verify(); err != nil || is.Commitment != was.Commitment {
			l.t.Fatalf("cut at %d: record %d is another, %v", before.cutAt, i, err)
		}
		byErasure := before.erasing[0] && textOf(was, "actor.name") == "erased-name"
		if !is.Fields[0].Erased || !byErasure && (!old || !before.purging[0]) {
			l.t.Fatalf("cut at %d: record %d lost something", before.cutAt, i)
		}
	}
}

// checkSearch looks at all records by a search.
func (l *life) checkSearch(s *store.Store, before *life) {
	a, err := s.Search(context.Background(), store.Request{Query: parse(l.t, ""), Oldest: true, Limit: 1000})
	if err != nil {
		l.t.Fatalf("cut at %d: %v", before.cutAt, err)
	}
	found := map[journal.Seq]*event.Record{}
	for _, f := range a.Found {
		if found[f.Seq] != nil {
			l.t.Fatalf("cut at %d: record %d is found twice", before.cutAt, f.Seq)
		}
		found[f.Seq] = f.Record
		if err := f.Record.Verify(); err != nil {
			l.t.Fatalf("cut at %d: record %d: %v", before.cutAt, f.Seq, err)
		}
	}
	for _, r := range l.journal.records {
		was, err := event.DecodeRecord(r.Body)
		if err != nil {
			l.t.Fatal(err)
		}
		bulk := familyOf(textOf(was, "tag")) == "bulk"
		is := found[r.Seq]
		if past := bulk && timeOf(was).Before(l.now.Add(-keptBulk)); past != (is == nil) {
			l.t.Fatalf("cut at %d: record %d is past its time %t, and found %t", before.cutAt, r.Seq, past, is != nil)
		}
		if is == nil {
			continue
		}
		erased := textOf(was, "actor.name") == "erased-name"
		old := !bulk && timeOf(was).Before(l.now.Add(-keptPersonal))
		switch gone := is.Fields[0].Erased; {
		case !gone && old, !gone && erased && before.erasing[1]:
			l.t.Fatalf("cut at %d: record %d has its personal fields again", before.cutAt, r.Seq)
		case gone && !old && (!erased || !before.erasing[0]):
			l.t.Fatalf("cut at %d: record %d lost its personal fields", before.cutAt, r.Seq)
		}
	}
}

func timeOf(r *event.Record) time.Time {
	at, _ := r.Open().Get("time")
	return at.Time()
}

func textOf(r *event.Record, name string) string { return r.Open().Text(name) }

// TestPowerCut pulls the plug at the operations on the disk while a store seals,
// merges, erases and purges, and starts again. A record that is lost is lost to
// the evidence; one that comes back was to be gone by law.
func TestPowerCut(t *testing.T) {
	random := uint64(1)
	keeps := []func(n int) int{
		func(int) int { return 0 },
		func(n int) int { return n },
		func(n int) int {
			random = random*6364136223846793005 + 1442695040888963407
			return int(random>>33) % (n + 1)
		},
	}
	most := 0
	for k, keep := range keeps {
		step := 3
		switch {
		case testing.Short(): // the points where most can go wrong
			step = 9
		case raceDetector:
			step = 7
		}
		for cut, more := 1+k, true; more; cut += step {
			before := &life{t: t, dir: new(disk.Mem), journal: &partJournal{memory: plainJournal(50)}, now: start.Add(50 * time.Hour), cutAt: cut, keep: keep, names: testing.Short()}
			before.live()
			if more = before.crashed != nil; !more {
				before.crashed = before.dir
			}
			most = max(most, before.step)
			after := &life{t: t, dir: before.crashed, journal: before.journal, now: before.now}
			after.check(before)
			if cut%8 == 0 || !more { // and it goes on
				again := &life{t: t, dir: after.dir, journal: before.journal, now: start.Add(50 * time.Hour)}
				again.live()
				last := &life{t: t, dir: again.dir, journal: before.journal, now: again.now}
				last.check(again)
			}
		}
	}
	if most < 50 {
		t.Errorf("there were %d operations, want more than 50", most)
	}
	t.Logf("%d operations", most)
}

// TestRemovedBytesAreGone looks for erased and purged values in every file.
func TestRemovedBytesAreGone(t *testing.T) {
	l := &life{t: t, dir: new(disk.Mem), journal: &partJournal{memory: plainJournal(50)}, now: start.Add(50 * time.Hour)}
	l.live()
	names, err := l.dir.List()
	if err != nil {
		t.Fatal(err)
	}
	sides := 0
	for _, name := range names {
		data, err := disk.ReadFile(l.dir, name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("erased-name")) {
			t.Errorf("%s has an erased value", name)
		}
		if strings.HasSuffix(name, ".main") && bytes.Contains(data, []byte("alice")) {
			t.Errorf("%s has a personal value", name)
		}
		if strings.HasSuffix(name, ".side") {
			sides++
		}
	}
	if sides == 0 {
		t.Error("there is no side file: nothing was looked at")
	}
}

// TestManifestGone checks that a store without its manifest is not taken for a
// new one: all that is in its files would be forgotten.
func TestManifestGone(t *testing.T) {
	l := &life{t: t, dir: new(disk.Mem), journal: &partJournal{memory: plainJournal(50)}, now: start}
	l.live()
	if err := l.dir.Remove("manifest.json"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(store.Config{Dir: l.dir}); err == nil || !strings.Contains(err.Error(), "manifest.json") {
		t.Errorf("Open = %v, want an error that names the manifest", err)
	}
	l.dir = new(disk.Mem)
	l.journal.first = 0
	l.live()
	l.dir.Flip("manifest.json", 30, 2)
	if _, err := store.Open(store.Config{Dir: l.dir}); err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "manifest.json") {
		t.Errorf("Open = %v, want an error that names the manifest", err)
	}
}
