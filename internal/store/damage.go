package store

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/custody-log/custody/internal/segment"
)

// A segment with a damaged file does not stop the store. It stays in the
// manifest, as it is: it is not merged, purged or erased in, so that its files
// can be mended. What asks for its rows is told of the damage, never given an
// answer without them.
//
//	a file cannot be opened    the segment has no rows to give: every answer
//	                           whose span touches it is the error
//	a page is damaged          answers that need the page are the error

// openKept opens a segment of the manifest. If it is damaged the handle says so;
// only what the system refuses is an error.
func (s *Store) openKept(info *segInfo) (*handle, error) {
	h, err := s.open(info)
	if err == nil {
		return h, nil
	}
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // too many open files, no permission: the file itself may be whole
	}
	h = &handle{segInfo: info, store: s}
	h.users.Store(1)
	damage, ok := errors.AsType[*segment.DamageError](err)
	switch {
	case ok:
	case errors.Is(err, fs.ErrNotExist):
		damage = &segment.DamageError{File: s.missing(info), Reason: "it is missing"}
	default:
		damage = &segment.DamageError{File: info.Main, Reason: "it cannot be opened", Err: err}
	}
	h.damage.Store(damage)
	return h, nil
}

// missing returns the name of the file of a segment that is not there.
func (s *Store) missing(info *segInfo) string {
	if there, err := s.cfg.Dir.Exists(info.Main); err == nil && there {
		return info.Side
	}
	return info.Main
}

// usable returns the damage because of which the segment could not be opened.
func (h *handle) usable() error {
	if h.Segment == nil {
		return h.damage.Load()
	}
	return nil
}

// noted remembers that err, which comes from reading the segment, is damage.
func (h *handle) noted(err error) error {
	if damage, ok := errors.AsType[*segment.DamageError](err); ok {
		h.damage.CompareAndSwap(nil, damage)
	}
	return err
}

// damaged reports whether the segment is known to be damaged: its files are
// left as they are.
func (h *handle) damaged() bool { return h.damage.Load() != nil }

// setAside logs that a segment is damaged, if err is that, and returns nil then:
// the others can be worked on.
func (s *Store) setAside(h *handle, err error) error {
	if _, ok := errors.AsType[*segment.DamageError](err); !ok {
		return err
	}
	_ = h.noted(err)
	s.cfg.Log.Error("a file of the store is damaged; custody fsck -repair mends it from a backup", "file", h.damage.Load().File, "err", err)
	return nil
}

// Trouble says which files were found damaged, and what cannot be found
// therefore, in sentences that whoever may read the log may read.
func (s *Store) Trouble() []string {
	list := s.acquire()
	defer releaseAll(list)
	var all []string
	for _, h := range list {
		if damage := h.damage.Load(); damage != nil {
			all = append(all, fmt.Sprintf("store/%s is damaged: some or all of the %d events of class %s from %s to %s in it cannot be read; "+
				"stop the log and run custody fsck -repair", damage.File, h.Rows, h.Family, dayOf(h.FirstTime), dayOf(h.EndTime)))
		}
	}
	return all
}

func dayOf(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339) }
