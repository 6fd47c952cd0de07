package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/segment"
)

// How Run works.
const (
	restInterval = time.Minute      // how often it looks for work that nobody told it of
	tailAge      = 15 * time.Minute // how long records may wait to be sealed

	// While records arrive, merging takes one part in mergeShare of the time of
	// one core.
	mergeShare = 12
)

// Run seals and merges until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	var warming sync.WaitGroup
	defer warming.Wait()
	warming.Go(func() { s.warm(ctx) })
	rest := time.NewTicker(restInterval)
	defer rest.Stop()
	var merge <-chan time.Time
	for {
		err := s.sealFrozen(ctx)
		if err == nil && merge == nil {
			merge, err = s.mergeSome()
		}
		if err != nil && ctx.Err() == nil {
			return s.fail(err)
		}
		select {
		case <-s.wake:
		case <-merge:
			merge = nil
		case <-rest.C:
			s.freezeOld()
		case <-ctx.Done():
			return nil
		}
	}
}

// mergeSome merges once. If that leaves work, it returns when to go on.
func (s *Store) mergeSome() (again <-chan time.Time, err error) {
	before, begin := s.Cursor(), s.now()
	merged, err := s.mergeSmall()
	if err != nil || !merged {
		return nil, err
	}
	pause := time.Millisecond
	if s.Cursor() > before {
		pause = (mergeShare - 1) * s.now().Sub(begin)
	}
	return time.After(pause), nil
}

// freezeOld hands over the tables when their oldest record has waited long
// enough.
func (s *Store) freezeOld() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen == nil && s.active.rows > 0 && s.now().Sub(s.active.begun) >= tailAge {
		s.freeze()
	}
}

// fail stops the store: what could not be written is still in the journal.
func (s *Store) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
	s.sealed.Broadcast()
	return err
}

// Seal seals all records that were taken in, so that the journal can drop them,
// and waits until that is done. It returns the position up to which all are
// sealed.
func (s *Store) Seal(ctx context.Context) (journal.Seq, error) {
	if s.parts.Tail != nil {
		if err := s.parts.Tail.Rotate(ctx); err != nil {
			return 0, err
		}
	}
	want := s.parts.Journal.Size()
	for s.Cursor() < want {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if err := s.sealFrozen(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	if s.frozen == nil && s.active.rows > 0 {
		s.freeze()
	}
	s.mu.Unlock()
	return want, s.sealFrozen(ctx)
}

// sealFrozen writes the frozen tables as segments, if there are any, and lets
// the journal drop their records.
func (s *Store) sealFrozen(ctx context.Context) error {
	s.change.Lock()
	defer s.change.Unlock()
	s.mu.RLock()
	g := s.frozen
	s.mu.RUnlock()
	if g != nil {
		if err := s.sealGeneration(g); err != nil {
			return err
		}
	}
	if err := s.drop(ctx); err != nil && !errors.Is(err, journal.ErrStopped) && ctx.Err() == nil {
		s.cfg.Log.WarnContext(ctx, "the journal's old files could not be removed, will retry", "err", err)
	}
	return nil
}

// drop lets the journal drop what is sealed and signed over: until then the tree
// may have to be made from it.
func (s *Store) drop(ctx context.Context) error {
	if s.parts.Tail == nil {
		return nil
	}
	before := s.Sealed()
	if s.parts.Signed != nil {
		before = min(before, s.parts.Signed())
	}
	_, err := s.parts.Tail.Drop(ctx, before)
	return err
}

// A written is a segment whose files are durable.
type written struct {
	info   *segInfo
	handle *handle
}

func (s *Store) sealGeneration(g *generation) error {
	desk, err := s.writeDesk(g)
	if err != nil {
		return err
	}
	families := g.families()
	list := make([]written, len(families))
	var work errgroup.Group
	work.SetLimit(2)
	for i, family := range families {
		work.Go(func() (err error) {
			list[i], err = s.write(family, g.tables[family])
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	err = s.replace(nil, list, func(m *manifest) {
		m.Sealed = int64(g.end)
		if desk != "" {
			m.Desk = desk
		}
	}, func() { s.frozen = nil })
	if err != nil {
		return err
	}
	for _, t := range g.tables { // of which nobody has hold any more
		t.Reset()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare = g.tables
	s.sealed.Broadcast()
	return nil
}

// writeDesk writes what the desk must know at the end of g to a new file.
func (s *Store) writeDesk(g *generation) (name string, err error) {
	if g.desk == nil {
		return "", nil
	}
	name = s.newName("desk")
	return name, writeFile(s.cfg.Dir, name, g.desk)
}

func (s *Store) newName(suffix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manifest.fileName(suffix)
}

// write seals a table into new files. They are durable, their names are not.
func (s *Store) write(family string, t *segment.Table) (written, error) {
	mainFile, sideFile, info := t.Seal()
	return s.writeParts(family, mainFile, sideFile, info)
}

func (s *Store) writeParts(family string, mainFile, sideFile []byte, info segment.Info) (w written, err error) {
	w.info = &segInfo{
		Family: family, Main: s.newName("main"), Rows: info.Rows, FirstSeq: info.FirstSeq, LastSeq: info.LastSeq,
		FirstTime: info.FirstTime, EndTime: info.EndTime, Bytes: int64(len(mainFile) + len(sideFile)),
	}
	if err := writeFile(s.cfg.Dir, w.info.Main, mainFile); err != nil {
		return w, err
	}
	if sideFile != nil {
		w.info.Side = s.newName("side")
		if err := writeFile(s.cfg.Dir, w.info.Side, sideFile); err != nil {
			return w, err
		}
	}
	w.handle, err = s.open(w.info)
	return w, err
}

// writeFile makes data the durable content of a new file.
func writeFile(dir disk.FS, name string, data []byte) (err error) {
	file, err := dir.Open(name)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() {
		if cerr := file.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("store: %w", cerr)
		}
	}()
	if err := file.Truncate(0); err != nil { // left over from a power cut
		return fmt.Errorf("store: write %s: %w", name, err)
	}
	if _, err := file.Write(data); err != nil {
		return fmt.Errorf("store: write %s: %w", name, err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("store: write %s: %w", name, err)
	}
	return nil
}

// replace puts new segments in the place of old ones, in the manifest first.
// set changes the rest of the manifest, then what is in memory; either may be
// nil. The caller holds change, and the files of the new ones are durable.
func (s *Store) replace(old []*handle, list []written, set func(*manifest), then func()) error {
	s.mu.RLock()
	m := *s.manifest
	handles := slices.Clone(s.segments)
	s.mu.RUnlock()
	handles = slices.DeleteFunc(handles, func(h *handle) bool { return slices.Contains(old, h) })
	for _, w := range list {
		if w.handle != nil {
			handles = append(handles, w.handle)
		}
	}
	slices.SortStableFunc(handles, func(a, b *handle) int { return compareInfo(a.segInfo, b.segInfo) })
	m.Segments = make([]*segInfo, len(handles))
	for i, h := range handles {
		m.Segments[i] = h.segInfo
	}
	oldDesk := m.Desk
	if set != nil {
		set(&m)
	}
	if err := s.cfg.Dir.Sync(); err != nil { // the new names, before the manifest has them
		return fmt.Errorf("store: %w", err)
	}
	if err := m.save(s.cfg.Dir); err != nil {
		return err
	}
	s.mu.Lock()
	m.NextFile = max(m.NextFile, s.manifest.NextFile)
	s.manifest = &m
	s.segments = handles
	if then != nil {
		then()
	}
	s.mu.Unlock()
	if err := letGo(old, m.files()); err != nil {
		return err
	}
	if oldDesk != "" && oldDesk != m.Desk {
		if err := s.cfg.Dir.Remove(oldDesk); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}

// letGo releases segments that were replaced: their files, but for those that are
// kept, are removed when nobody reads them.
func letGo(old []*handle, kept map[string]bool) error {
	for _, h := range old {
		var names []string
		for _, name := range []string{h.Main, h.Side} {
			if name != "" && !kept[name] {
				names = append(names, name)
			}
		}
		h.gone.Store(&names)
		if err := h.release(); err != nil {
			return err
		}
	}
	return nil
}

// compareInfo orders segments by family and time.
func compareInfo(a, b *segInfo) int {
	switch {
	case a.Family != b.Family:
		if a.Family < b.Family {
			return -1
		}
		return 1
	case a.FirstSeq < b.FirstSeq:
		return -1
	case a.FirstSeq > b.FirstSeq:
		return 1
	}
	return 0
}
