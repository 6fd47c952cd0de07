package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Rotate ends the last file, if it holds records, and begins another, so that
// [Files.Drop] can remove all records there are now. It waits for an Append
// under way. An error of ctx changes nothing; after any other the files accept
// nothing more, as after an Append that failed.
func (f *Files) Rotate(ctx context.Context) error {
	if err := f.takeTurn(ctx); err != nil {
		return err
	}
	defer f.release()
	if f.tail.next == f.tail.base {
		return nil
	}
	return f.stopAfter(f.rotate())
}

// Drop removes all files whose every record is before before, oldest first,
// but never the last one, and returns how many. Each that it counts stays away
// also after a power cut. Before it is called somebody else must have these
// records durably, and be sure to tell [From] so at the next start: nobody
// will find them here.
//
// Who reads meanwhile gets the records or [ErrDropped]. Appends wait for the
// removal of one file at most. When Drop fails nothing else does: what could
// not be removed is still there, and a later Drop removes it. Once the files
// were closed, or a write failed, the error is [ErrStopped].
func (f *Files) Drop(ctx context.Context, before Seq) (dropped int, err error) {
	for {
		found, err := f.dropOldest(ctx, before)
		if err != nil || !found {
			return dropped, err
		}
		dropped++
	}
}

// dropOldest drops the oldest file, if it may go. The directory is synced for
// each: should a power cut bring files back, it brings back the youngest, and
// those that are there have no gap between them. And it happens in a turn: a
// sync that fails may be the only one to report that a name was lost, so no
// file may be new and still wait for its own.
func (f *Files) dropOldest(ctx context.Context, before Seq) (found bool, err error) {
	if err := f.takeTurn(ctx); err != nil {
		return false, err
	}
	free := func() error { return nil }
	defer func() { f.release(); _ = free() }() // it was only read, and is gone
	older, remains := f.older, f.remains
	if len(remains) == 0 && len(older) > 0 {
		remains = []span{older[0].span}
		older = slices.Clone(older[1:])
	}
	if len(remains) == 0 || remains[0].end > before {
		return false, nil
	}
	name, was := fileName(remains[0].base), f.older
	// The system frees the blocks of a file that is open when it is closed.
	// That takes many times as long as the rest, and here nobody waits for it.
	if file, err := f.fs.OpenRead(name); err == nil {
		free = file.Close
	}
	f.setOlder(older) // before the file goes: a reader that does not find it then finds out why
	if err := f.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.setOlder(was)
		return false, fmt.Errorf("journal: drop %s: %w", name, err)
	}
	f.remains = remains // a later Drop begins with it, if this one cannot make sure that it is gone
	if err := f.fs.Sync(); err != nil {
		return false, fmt.Errorf("journal: drop %s: sync directory: %w", name, err)
	}
	f.remains = remains[1:]
	return true, nil
}

func (f *Files) setOlder(older []*olderFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.older = older
}
