package journal

import (
	"context"
	"runtime"
)

// Run writes what Append hands in until ctx ends or the door fails. When ctx
// ends it still writes what is queued. Run must be called exactly once.
func (j *Journal) Run(ctx context.Context) error {
	defer j.finish()
	for {
		var ended bool
		select {
		case <-ctx.Done():
			ended = true
			j.finish()
		case <-j.queued:
			// Those whom the last sync woke are about to append again. Letting
			// them go first makes one group of what would be two.
			runtime.Gosched()
		}
		if err := j.commit(context.WithoutCancel(ctx)); err != nil || ended {
			return err
		}
	}
}

// finish lets nothing queue any more.
func (j *Journal) finish() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.finished = true
	wake(&j.room)
}

// wake closes and forgets the channel that somebody may be waiting for.
func wake(waiting *chan struct{}) {
	if *waiting != nil {
		close(*waiting)
		*waiting = nil
	}
}

// commit stores what is queued as one group, shows it to readers, and tells
// who waits for it how that went.
func (j *Journal) commit(ctx context.Context) error {
	o := j.take()
	count := len(j.writing.ends)
	if count == 0 {
		return nil
	}
	if err := j.store(ctx, o.first); err != nil {
		// What is stored is now unknown, and nothing may be stored behind it.
		j.finish()
		o.fail()
		j.take().fail() // what queued meanwhile
		return err
	}
	j.mu.Lock()
	j.size += Seq(count)
	wake(&j.grown)
	j.mu.Unlock()
	close(o.done)
	return nil
}

// take makes the queued records those being written.
func (j *Journal) take() *outcome {
	j.writing.reset()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.filling, j.writing = j.writing, j.filling
	o := j.outcome
	o.first = j.size
	j.outcome = &outcome{done: make(chan struct{})}
	wake(&j.room)
	return o
}

// fail tells who waits for the outcome that the journal has stopped.
func (o *outcome) fail() {
	o.err = ErrStopped
	close(o.done)
}

// store hands the records being written to the door.
func (j *Journal) store(ctx context.Context, first Seq) error {
	if j.framed != nil {
		return j.framed.appendFrames(ctx, first, &j.writing)
	}
	j.records = j.records[:0]
	for i := range j.writing.ends {
		j.records = append(j.records, j.writing.body(i))
	}
	return j.door.Append(ctx, first, j.records)
}
