// Package store is the view by which events are found, and where records are
// once the journal has let go of them.
//
// New records go into tables in memory, one for each class of retention. When
// there are enough they are sealed into segments, which are immutable; then the
// journal may drop them. Small segments are merged. The manifest says which
// segments there are.
//
// # Promises
//
//   - A record that was taken in is found at once, and stays: sealing, merging and
//     a power cut at any point lose nothing, double nothing, and bring nothing
//     back that was purged or erased.
//   - Answers never depend on when the purge last ran: what is past its time is
//     not in them.
//   - Order and cursors of answers are stable while records arrive and segments
//     merge.
//   - A damaged file is named in an error; it is never passed over in silence.
//
// Files and format are in docs/format/segment.md.
package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
	"github.com/custody-log/custody/internal/view"
)

// A Journal is what the store needs of one.
type Journal interface {
	Size() journal.Seq
	Read(from journal.Seq, limit int) ([]journal.Record, error)
}

// A Tail is the part of the journal that can be dropped.
type Tail interface {
	Rotate(ctx context.Context) error
	Drop(ctx context.Context, before journal.Seq) (int, error)
}

// A Snapshotter keeps what the desk must know about records that are sealed. Its
// methods are called by one goroutine at a time.
type Snapshotter interface {
	// Take takes in the record at seq, which comes after those taken in before.
	Take(seq journal.Seq, r *event.Record) error

	// Snapshot returns what is to be known of all records taken in.
	Snapshot() []byte
}

// A Config is what a store is opened with.
type Config struct {
	Dir    disk.FS
	Log    *slog.Logger
	Family func(tag string) string // class of retention of a type of events
	Derive *query.Derive

	// Limit returns before which times events of a family, and their personal
	// fields, are past their time. Nil: nothing ever is.
	Limit func(family string, now time.Time) (events, personal time.Time)

	// Held returns what reports whether an event is to be kept whatever Limit
	// says, or nil while nothing is held. Nil: nothing ever is.
	Held func() func(fields event.Fields) bool

	CacheBytes int64 // of pages in memory; 0: 640 MiB
	SealRows   int   // 0: 131,072
	SealBytes  int64 // of all tables; 0: 96 MiB
}

// Defaults of a Config.
const (
	defaultCacheBytes = 640 << 20
	defaultSealRows   = 1 << 17
	defaultSealBytes  = 96 << 20

	quietBytes = 16 << 20
)

// A Store is a [view.View]. Its methods may be called concurrently, except
// Apply, which has one caller.
type Store struct {
	cfg   Config
	cache *segment.Cache
	quiet *segment.Cache // for reading segments whole, which must not push out what is asked for

	parts   Parts
	openKey [16]byte // the manifest's, which never changes

	// mu guards what stands below. It is held for writing while records are taken
	// in or segments replaced, and for reading while tables are looked at.
	mu       sync.RWMutex
	manifest *manifest
	segments []*handle    // in the order of manifest.Segments
	active   *generation  // being filled
	scratch  event.Record // memory of Apply
	frozen   *generation  // being sealed, or nil
	sealed   *sync.Cond   // of mu for writing: frozen has become nil
	failed   error        // why sealing stopped

	spare map[string]*segment.Table // empty tables, by the family they are used to

	examined map[string]time.Time // segments with holds, when they were last looked at; guarded by change

	wake   chan struct{} // holds a token if Run has to look
	change sync.Mutex    // held by whoever replaces segments: seal, merge, purge, erase
	now    func() time.Time
}

// Commitments says what the tree keeps of each record.
type Commitments interface {
	Commitments(from journal.Seq, n int, dst []event.Commitment) ([]event.Commitment, error)
}

// A generation is the tables of consecutive records.
type generation struct {
	first, end journal.Seq
	tables     map[string]*segment.Table // by family
	rows       int
	begun      time.Time // when the first row came
	desk       []byte    // of a frozen one: what the desk must know at its end
}

// Open opens the store in c.Dir, creating it if there is none. Call
// [Store.Connect] before anything else.
func Open(c Config) (*Store, error) {
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	if c.SealRows == 0 {
		c.SealRows = defaultSealRows
	}
	if c.SealBytes == 0 {
		c.SealBytes = defaultSealBytes
	}
	s := newStore(c)
	m, err := loadManifest(c.Dir)
	if err != nil {
		return nil, err
	}
	if m == nil {
		if m, err = newManifest(c.Dir); err != nil {
			return nil, err
		}
	}
	s.manifest, s.openKey = m, [16]byte(m.OpenKey)
	if err := s.removeOrphans(); err != nil {
		return nil, err
	}
	if err := s.openAll(); err != nil {
		return nil, err
	}
	for _, h := range s.segments {
		if h.damaged() {
			_ = s.setAside(h, h.damage.Load()) // which says it
		}
	}
	s.active = s.newGeneration(journal.Seq(m.Sealed))
	return s, nil
}

func newStore(c Config) *Store {
	s := &Store{cfg: c, cache: segment.NewCache(c.CacheBytes), quiet: segment.NewPlainCache(quietBytes), wake: make(chan struct{}, 1), now: time.Now, spare: make(map[string]*segment.Table)}
	s.sealed = sync.NewCond(&s.mu)
	return s
}

func newManifest(dir disk.FS) (*manifest, error) {
	m := &manifest{Version: manifestVersion, OpenKey: make([]byte, 16)}
	rand.Read(m.OpenKey) // never fails
	names, err := dir.List()
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for _, name := range names {
		if name != manifestName+".tmp" {
			return nil, fmt.Errorf("store: there is no %s, but %s; restore it from a backup", manifestName, name)
		}
	}
	return m, m.save(dir)
}

// removeOrphans removes what a power cut left of files that no manifest knows.
func (s *Store) removeOrphans() error {
	names, err := s.cfg.Dir.List()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	known := s.manifest.files()
	for _, name := range names {
		if known[name] {
			continue
		}
		if err := s.cfg.Dir.Remove(name); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}

// Parts are what a store works with. All but Journal may be nil.
type Parts struct {
	Journal Journal
	Tail    Tail        // drops records that are sealed
	Desk    Snapshotter // keeps what it must know of them
	Tree    Commitments // knows their commitments

	// Signed returns how many records the last signed checkpoint covers: only
	// these are dropped. Nil: all.
	Signed func() journal.Seq
}

// Connect tells the store what it works with. It is called once, before
// anything but Read, Known and what tells of the manifest.
func (s *Store) Connect(p Parts) { s.parts = p }

// OpenKey returns the key of the log's open secrets, see [event.OpenSecret].
func (s *Store) OpenKey() [16]byte { return s.openKey }

// Sealed returns the position before which all records are in segments.
func (s *Store) Sealed() journal.Seq {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return journal.Seq(s.manifest.Sealed)
}

// DeskSnapshot returns what the desk knew at Sealed, or nil.
func (s *Store) DeskSnapshot() ([]byte, error) {
	s.mu.RLock()
	name := s.manifest.Desk
	s.mu.RUnlock()
	if name == "" {
		return nil, nil
	}
	return disk.ReadFile(s.cfg.Dir, name)
}

// Name implements [view.View].
func (s *Store) Name() string { return "store" }

// Cursor implements [view.View].
func (s *Store) Cursor() journal.Seq {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.active.end
}

func (s *Store) newGeneration(first journal.Seq) *generation {
	return &generation{first: first, end: first, tables: make(map[string]*segment.Table)}
}

// Apply implements [view.View]. It waits while as many records are being sealed
// as may be in memory.
func (s *Store) Apply(_ context.Context, records []journal.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		if err := s.take(r); err != nil {
			return err
		}
	}
	if s.full() {
		for s.frozen != nil && s.failed == nil {
			s.sealed.Wait()
		}
		if s.failed != nil {
			return s.failed
		}
		s.freeze()
	}
	return nil
}

// take adds a record to the table of its family.
func (s *Store) take(r journal.Record) error {
	g := s.active
	if r.Seq != g.end {
		return fmt.Errorf("store: given record %d, want %d", r.Seq, g.end)
	}
	if err := s.scratch.Decode(r.Body); err != nil {
		return fmt.Errorf("store: record %d: %w", r.Seq, err)
	}
	family := s.cfg.Family(textOf(&s.scratch, "tag"))
	t := g.tables[family]
	if t == nil {
		t = s.newTable(family)
		g.tables[family] = t
	}
	if err := t.Add(int64(r.Seq), &s.scratch); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if s.parts.Desk != nil {
		if err := s.parts.Desk.Take(r.Seq, &s.scratch); err != nil {
			return fmt.Errorf("store: %w: %w", view.ErrCorrupt, err) // the record is in the table
		}
	}
	if g.rows == 0 {
		g.begun = s.now()
	}
	g.end++
	g.rows++
	return nil
}

// newTable returns an empty table: one that was sealed, if there is one.
func (s *Store) newTable(family string) *segment.Table {
	if t := s.spare[family]; t != nil {
		delete(s.spare, family)
		return t
	}
	t := segment.NewTable(s.OpenKey())
	t.SetFetch(s.fetch)
	return t
}

// fetch returns the body of a record that is not sealed.
func (s *Store) fetch(seq int64) ([]byte, error) {
	records, err := s.parts.Journal.Read(journal.Seq(seq), 1)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("record %d is not there", seq)
	}
	return records[0].Body, nil
}

// full reports whether the tables hold as much as they may.
func (s *Store) full() bool {
	bytes := int64(0)
	for _, t := range s.active.tables {
		bytes += t.Bytes()
	}
	return s.active.rows >= s.cfg.SealRows || bytes >= s.cfg.SealBytes
}

// freeze hands the tables to Run and begins new ones.
func (s *Store) freeze() {
	s.frozen = s.active
	if s.parts.Desk != nil {
		s.frozen.desk = s.parts.Desk.Snapshot()
	}
	s.active = s.newGeneration(s.frozen.end)
	s.poke()
}

func (s *Store) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // Run will look anyway
	}
}

// Close closes all files. Nothing may use the store any more.
func (s *Store) Close() error {
	var errs []error
	for _, h := range s.segments {
		errs = append(errs, h.release())
	}
	s.segments = nil
	return errors.Join(errs...)
}

// tables yields the tables of what is not sealed, the older ones first, by family
// in order. The caller holds mu.
func (s *Store) tables() iter.Seq2[string, *segment.Table] {
	return func(yield func(string, *segment.Table) bool) {
		for _, g := range []*generation{s.frozen, s.active} {
			if g == nil {
				continue
			}
			for _, family := range g.families() {
				if !yield(family, g.tables[family]) {
					return
				}
			}
		}
	}
}

// families returns the families of a generation, sorted.
func (g *generation) families() []string {
	names := make([]string, 0, len(g.tables))
	for name := range g.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// held returns what reports whether an event is held, or nil.
func (s *Store) held() func(event.Fields) bool {
	if s.cfg.Held == nil {
		return nil
	}
	return s.cfg.Held()
}

// textOf returns the text of a field of a record, or "".
func textOf(r *event.Record, name string) string {
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Name == name {
			return string(f.Value)
		}
	}
	return ""
}

// Segments returns how many segments there are.
func (s *Store) Segments() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.segments)
}

// Bytes returns how many bytes the segments have on disk.
func (s *Store) Bytes() (sum int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, h := range s.segments {
		sum += h.Bytes
	}
	return sum
}
