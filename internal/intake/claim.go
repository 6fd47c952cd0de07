package intake

import (
	"context"
	"fmt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// claim finds out which events of b are recorded already, and takes the right
// to record the others: the caller must then call decide with the outcome.
// While somebody else holds that right for one of them, claim waits.
func (d *Desk) claim(ctx context.Context, b *draft) (decide func(journal.Seq, error), err error) {
	for {
		c := d.tryClaim(b)
		switch {
		case c.err != nil:
			return nil, c.err
		case c.done != nil:
			return func(first journal.Seq, err error) { d.decide(b, c.done, first, err) }, nil
		case c.repeats:
			if err := d.repeated(b); err != nil {
				return nil, err
			}
		case c.busy != nil:
			select {
			case <-c.busy:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		default:
			for _, doubt := range c.doubts {
				if err := d.compare(b, doubt); err != nil {
					return nil, err
				}
			}
		}
	}
}

// A claim is the outcome of one try to claim a draft; one of its fields is set.
type claim struct {
	done    chan struct{} // claimed: to be closed when decided
	busy    chan struct{} // another submission holds one of the events until this is closed
	repeats bool          // an event stands in the draft twice
	doubts  []doubt       // events to be compared with what is recorded first
	err     error         // none of the events may be recorded
}

// A doubt is an event that may be recorded already at some positions.
type doubt struct {
	event int
	at    []journal.Seq
}

// tryClaim takes the right to record the events of b that are not duplicates,
// if nothing is in the way.
func (d *Desk) tryClaim(b *draft) (c claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range b.events {
		e := &b.events[i]
		if e.duplicate {
			continue
		}
		if busy := d.pending.get(e.hash); busy != nil {
			return claim{busy: busy}
		}
		if known := d.known.count(e.hash); known > e.seen {
			c.doubts = append(c.doubts, doubt{i, d.known.all(e.hash)})
		}
	}
	if len(c.doubts) > 0 {
		return c
	}
	if err := d.refusal(b); err != nil {
		return claim{err: err}
	}
	done := make(chan struct{})
	for i := range b.events {
		e := &b.events[i]
		if e.duplicate {
			continue
		}
		if d.pending.get(e.hash) != nil { // ours: it stands in the draft twice
			for k := range i {
				d.pending.remove(b.events[k].hash)
			}
			return claim{repeats: true}
		}
		d.pending.put(e.hash, done)
	}
	return claim{done: done}
}

// refusal returns why the events of b that are not duplicates cannot be
// recorded, or nil. d.mu must be held.
func (d *Desk) refusal(b *draft) error {
	fresh := 0
	for i := range b.events {
		if !b.events[i].duplicate {
			fresh++
		}
	}
	if fresh > 0 && int64(d.next)+int64(d.pending.used+fresh) > MaxEvents {
		return ErrFull
	}
	return nil
}

// decide ends the claim of b, whose first fresh event is at first.
func (d *Desk) decide(b *draft, done chan struct{}, first journal.Seq, err error) {
	d.mu.Lock()
	seq := first
	for i := range b.events {
		e := &b.events[i]
		if e.duplicate {
			continue
		}
		d.pending.remove(e.hash)
		if err == nil {
			d.known.add(e.hash, seq)
			seq++
		}
	}
	if err == nil {
		d.next = max(d.next, seq)
	}
	d.mu.Unlock()
	close(done)
	if err == nil {
		d.watch.arrived(b)
	}
}

// compare decides whether an event of b is one of those recorded at the
// positions of doubt.
func (d *Desk) compare(b *draft, doubt doubt) error {
	e := &b.events[doubt.event]
	mine, err := event.DecodeRecord(b.record(doubt.event))
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	id := mine.Open().Text("id")
	for _, seq := range doubt.at {
		theirs, err := d.read(seq)
		if err != nil {
			return err
		}
		if theirs == nil {
			continue // gone, and so perhaps another event with the same hash
		}
		if fields := theirs.Open(); fields.Text("id") != id || fields.Text("source") != b.from.Source {
			continue // another event with the same hash
		}
		if !d.sameEvent(mine, theirs) {
			return &ConflictError{Index: b.index(doubt.event), ID: id, Seq: seq}
		}
		e.duplicate, e.seq, e.commitment = true, seq, theirs.Commitment
	}
	e.seen = len(doubt.at)
	return nil
}

// repeated marks the events that stand in the draft twice.
func (d *Desk) repeated(b *draft) error {
	first := make(map[uint64]int, len(b.events))
	for i := range b.events {
		e := &b.events[i]
		if e.duplicate {
			continue
		}
		k, ok := first[e.hash]
		if !ok {
			first[e.hash] = i
			continue
		}
		mine, err := event.DecodeRecord(b.record(i))
		if err != nil {
			return fmt.Errorf("intake: %w", err)
		}
		theirs, err := event.DecodeRecord(b.record(k))
		if err != nil {
			return fmt.Errorf("intake: %w", err)
		}
		if !d.sameEvent(mine, theirs) {
			return &ConflictError{Index: i, ID: mine.Open().Text("id"), Seq: -1}
		}
		e.duplicate, e.seq, e.commitment = true, journal.Seq(-1-k), b.events[k].commitment
	}
	return nil
}

// index returns the place in the batch of event i of b, for an error.
func (b *draft) index(i int) int {
	if len(b.events) == 1 {
		return -1
	}
	return i
}

// read returns the record at seq, or nil if it is gone.
func (d *Desk) read(seq journal.Seq) (*event.Record, error) {
	records, err := d.journal.Read(seq, 1)
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("intake: record %d is not there", seq)
	}
	if records[0].Body == nil {
		return nil, nil
	}
	r, err := event.DecodeRecord(records[0].Body)
	if err != nil {
		return nil, fmt.Errorf("intake: record %d: %w", seq, err)
	}
	return r, nil
}
