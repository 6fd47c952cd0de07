package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/segment"
)

// OpenRead opens the store in c.Dir for looking at it, and changes nothing: for
// a copy, or beside a log that runs. Only Dir is needed of c. The store does not
// take in anything. If there is none the error is [fs.ErrNotExist].
//
// A file that cannot be opened does not stop it: what asks for its rows is told
// so, see [Store.Trouble]. What is open stays readable when a log that runs
// removes it.
func OpenRead(c Config) (*Store, error) {
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	m, err := loadManifest(c.Dir)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("store: there is no %s: %w", manifestName, fs.ErrNotExist)
	}
	s := newStore(c)
	s.manifest, s.openKey = m, [16]byte(m.OpenKey)
	s.active = s.newGeneration(journal.Seq(m.Sealed))
	return s, s.openAll()
}

// FileNames returns the names of all files that belong to the store in dir, its
// manifest among them, and how many bytes its segments have. If there is no store
// the error is [fs.ErrNotExist].
func FileNames(dir disk.FS) (names map[string]bool, size int64, err error) {
	m, err := loadManifest(dir)
	if err != nil {
		return nil, 0, err
	}
	if m == nil {
		return nil, 0, fmt.Errorf("store: there is no %s: %w", manifestName, fs.ErrNotExist)
	}
	for _, info := range m.Segments {
		size += info.Bytes
	}
	return m.files(), size, nil
}

// Lost returns the names of files that a store opened by [OpenRead] did not
// find. A log that runs may have removed them; then its manifest is another now.
func (s *Store) Lost() []string {
	var names []string
	for _, h := range s.segments {
		if d := h.damage.Load(); d != nil && h.Segment == nil {
			if there, err := s.cfg.Dir.Exists(d.File); err == nil && !there {
				names = append(names, d.File)
			}
		}
	}
	return names
}

// MaxFindings bounds how many findings one check names.
const MaxFindings = 1000

// A Finding is something a check found wrong.
type Finding struct {
	File   string `json:"file"`         // in the directory of the store
	Or     string `json:"or,omitempty"` // the other file of the segment, if it may be wrong as well
	Seq    int64  `json:"seq"`          // the record, or the first; -1 if it is about none
	Reason string `json:"reason"`

	// Gives is the commitment that the record gives, if it is not the one in the
	// tree: nothing tells here which is wrong.
	Gives *event.Commitment `json:"-"`
}

// A Checking says how to check.
type Checking struct {
	// Commitment sets c to what the tree has for the record at seq; known is
	// false if it has none yet. It is for one goroutine.
	Commitment func() func(seq int64, c *event.Commitment) (known bool, err error)

	// Deep makes each segment anew from its rows and compares the files: what
	// only helps finding rows is checked, too.
	Deep bool

	// Progress, if not nil, is told how many of how many records are done.
	Progress func(done, all int64)
}

// A Checked is what a check found.
type Checked struct {
	Sealed   int64            `json:"sealed"`   // records before it are in segments, or were dropped
	Records  map[string]int64 `json:"records"`  // that are there, by class of retention
	Dropped  int64            `json:"dropped"`  // by retention: nothing but the commitment is left
	Unproved int64            `json:"unproved"` // that the tree has not taken in yet
	Segments int              `json:"segments"`
	Orphans  []string         `json:"orphans,omitempty"` // files that the manifest does not name
	Findings []Finding        `json:"findings"`
	Wrong    int64            `json:"wrong"` // how many there are, of which Findings has the first
}

// Check reads every byte of every segment and compares it with its checksum,
// and every row with the commitment of its record. It uses all cores, and about
// a bit of memory for each record.
func (s *Store) Check(ctx context.Context, c Checking) (*Checked, error) {
	list := s.acquire()
	defer releaseAll(list)
	k := &check{
		Checking: c, store: s, sealed: int64(s.Sealed()), seen: make([]atomic.Uint64, (s.Sealed()+63)/64),
		sum: Checked{Sealed: int64(s.Sealed()), Records: make(map[string]int64), Segments: len(list), Findings: []Finding{}},
	}
	for _, h := range list {
		k.all += int64(h.Rows)
	}
	if err := k.orphans(); err != nil {
		return nil, err
	}
	if err := k.run(ctx, list); err != nil {
		return nil, err
	}
	there := int64(0)
	for i := range k.seen {
		there += int64(bits.OnesCount64(k.seen[i].Load()))
	}
	k.sum.Dropped = k.sealed - there
	slices.SortStableFunc(k.sum.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Seq, b.Seq))
	})
	return &k.sum, nil
}

// A check is one call of Check.
type check struct {
	Checking

	store  *Store
	sealed int64
	seen   []atomic.Uint64 // a bit for each position before sealed
	all    int64

	mu   sync.Mutex
	done int64
	sum  Checked
}

// orphans finds the files that the manifest does not name.
func (k *check) orphans() error {
	names, err := k.store.cfg.Dir.List()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	known := k.store.manifest.files()
	for _, name := range names {
		if !known[name] {
			k.sum.Orphans = append(k.sum.Orphans, name)
		}
	}
	if desk := k.store.manifest.Desk; desk != "" {
		if _, err := k.store.DeskSnapshot(); err != nil {
			k.found(desk, -1, err.Error())
		}
	}
	return nil
}

func (k *check) found(file string, seq int64, reason string) {
	k.add(Finding{File: file, Seq: seq, Reason: reason})
}

func (k *check) add(f Finding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sum.Wrong++
	if len(k.sum.Findings) < MaxFindings {
		k.sum.Findings = append(k.sum.Findings, f)
	}
}

func (k *check) step(rows int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.done += int64(rows)
	if k.Progress != nil && rows > 0 {
		k.Progress(k.done, k.all)
	}
}

// damage finds that err kept rows from being read, of which the first is seq.
func (k *check) damage(h *handle, err error, seq int64, rows int) {
	file, reason := h.Main, err.Error()
	if d, ok := errors.AsType[*segment.DamageError](err); ok {
		file, reason = d.File, d.Reason
		if d.Err != nil {
			reason += ": " + d.Err.Error()
		}
	}
	if rows > 0 {
		reason += fmt.Sprintf("; %d records cannot be read", rows)
	}
	k.found(file, seq, reason)
}

// deep makes the segment anew and compares.
func (k *check) deep(h *handle) error {
	t := segment.NewTable(k.store.OpenKey())
	if err := k.store.each(h, t.Add); err != nil {
		k.damage(h, err, -1, 0)
		return nil
	}
	mainFile, sideFile, _ := t.Seal()
	for _, part := range []struct {
		name string
		want []byte
	}{{h.Main, mainFile}, {h.Side, sideFile}} {
		if part.name == "" {
			continue
		}
		have, err := disk.ReadFile(k.store.cfg.Dir, part.name)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if !bytes.Equal(have, part.want) {
			k.found(part.name, -1, "its records are right, but it is not the file that this version makes of them: "+
				"another version made it, or what finds records is wrong")
		}
	}
	return nil
}
