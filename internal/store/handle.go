package store

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/internal/segment"
)

// A handle is an open segment and who uses it. It is closed, and its files are
// removed if it was replaced, when nobody does.
type handle struct {
	*segInfo
	*segment.Segment // nil if it could not be opened: see usable

	store  *Store
	users  atomic.Int32
	gone   atomic.Pointer[[]string] // files to remove
	damage atomic.Pointer[segment.DamageError]
}

// open opens a segment. The handle belongs to the caller.
func (s *Store) open(info *segInfo) (*handle, error) {
	g, err := segment.Open(s.cfg.Dir, info.Main, info.Side, s.OpenKey(), s.cache)
	if err != nil {
		return nil, err
	}
	h := &handle{segInfo: info, Segment: g, store: s}
	h.users.Store(1)
	return h, nil
}

// openers is how many segments are opened at once: mostly they wait for the disk.
const openers = 8

// openAll opens all segments of the manifest.
func (s *Store) openAll() error {
	list := make([]*handle, len(s.manifest.Segments))
	var work errgroup.Group
	work.SetLimit(openers)
	for i, info := range s.manifest.Segments {
		work.Go(func() (err error) {
			list[i], err = s.openKept(info)
			return err
		})
	}
	err := work.Wait()
	s.segments = slices.DeleteFunc(list, func(h *handle) bool { return h == nil })
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// warm reads what passes over segments, for the first searches.
func (s *Store) warm(ctx context.Context) {
	list := s.acquire()
	defer releaseAll(list)
	var work errgroup.Group
	work.SetLimit(openers)
	for _, h := range slices.Backward(list) {
		work.Go(func() error {
			if h.Segment != nil && ctx.Err() == nil {
				return h.noted(h.Warm())
			}
			return nil
		})
	}
	_ = work.Wait() // damage is noted; who needs what is damaged is told
}

// release ends one use.
func (h *handle) release() error {
	if h.users.Add(-1) > 0 {
		return nil
	}
	var err error
	if g := h.Segment; g != nil {
		err = g.Close()
	}
	if names := h.gone.Load(); names != nil {
		for _, name := range *names {
			if rerr := h.store.cfg.Dir.Remove(name); rerr != nil && err == nil {
				err = rerr // the next start removes it
			}
		}
	}
	return err
}

// acquire returns all segments, each to be released.
func (s *Store) acquire() []*handle {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.hold()
}

// hold is acquire for who holds mu: to look at the tables at the same instant,
// so that nothing is seen twice or not at all.
func (s *Store) hold() []*handle {
	list := slices.Clone(s.segments)
	for _, h := range list {
		h.users.Add(1)
	}
	return list
}

func releaseAll(list []*handle) {
	for _, h := range list {
		_ = h.release() // of files that were only read
	}
}
