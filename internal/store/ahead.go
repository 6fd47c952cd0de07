package store

import (
	"sync"
	"sync/atomic"

	"github.com/custody-log/custody/event"
)

// How far a search reads ahead once it had to wait for the disk. A disk answers
// many questions in hardly more time than one.
const (
	aheadSegments = 8  // that come next
	aheadRows     = 64 // of the one that comes now; of those after it, as many as are read together
	aheadReaders  = 16 // at once
	rowsTogether  = 4  // read by one
)

// An ahead brings into memory what a search is about to read. It decides
// nothing: what it finds is thrown away, and its errors are those that the
// search itself will meet.
type ahead struct {
	merging *merging
	waits   int64           // of the store's cache, when the search began
	begun   map[*handle]int // rows
	turns   chan struct{}
	running sync.WaitGroup
	ended   atomic.Bool
}

// read begins to read a segment that comes now, and those after it, if the search
// had to wait.
func (a *ahead) read(now *handle) {
	if a.merging == nil || a.merging.store.cache.Waits() == a.waits {
		return
	}
	a.once(now, aheadRows)
	list := a.merging.waiting
	for i := len(list) - 1; i >= max(0, len(list)-aheadSegments); i-- {
		a.once(list[i], rowsTogether)
	}
}

// once begins to read so many rows of h, unless that many are read already.
func (a *ahead) once(h *handle, rows int) {
	if a.begun == nil {
		a.begun, a.turns = make(map[*handle]int), make(chan struct{}, aheadReaders)
	}
	if done := a.begun[h]; done < rows {
		a.begun[h] = rows
		a.run(func() { a.segment(h, done, rows) })
	}
}

func (a *ahead) run(work func()) {
	a.running.Go(func() {
		a.turns <- struct{}{}
		defer func() { <-a.turns }()
		if !a.ended.Load() {
			work()
		}
	})
}

// segment reads some of the first rows of h that the search will find.
func (a *ahead) segment(h *handle, first, end int) {
	x, err := a.merging.open(h)
	if err != nil || x == nil {
		return
	}
	defer x.selection.Release()
	for n := 0; n < end && !a.ended.Load(); n += rowsTogether {
		rows := make([]uint32, 0, rowsTogether)
		for len(rows) < rowsTogether {
			row, _, ok, err := x.walk.Next()
			if err != nil || !ok {
				break
			}
			rows = append(rows, row)
		}
		if len(rows) == 0 {
			return
		}
		if n >= first {
			a.run(func() { a.records(h, rows) })
		}
	}
}

func (a *ahead) records(h *handle, rows []uint32) {
	r := h.Reader()
	defer r.Release()
	var record event.Record
	for _, row := range rows {
		if _, err := r.Record(int(row), &record); err != nil {
			return
		}
	}
}

// end waits until nothing is read any more.
func (a *ahead) end() {
	a.ended.Store(true)
	a.running.Wait()
}
