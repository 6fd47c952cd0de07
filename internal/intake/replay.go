package intake

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// readAtOnce is how many records a replay asks for.
const readAtOnce = 4096

// Open returns a desk over the journal of c. What is not sealed it has read and
// checked: every record's fields give the commitment that it carries. What is
// sealed it has been told of. So it recognises every event whose record is kept.
// progress, if not nil, is called now and then with how many records the desk
// knows.
func Open(ctx context.Context, c Config, progress func(journal.Seq)) (*Desk, error) {
	d, err := newDesk(&c)
	if err != nil {
		return nil, err
	}
	if err := d.load(ctx, &c); err != nil {
		return nil, fmt.Errorf("intake: what is sealed: %w", err)
	}
	if err := d.replay(ctx, c.Sealed, progress); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	d.watch.wake(c.Sources, time.Now())
	return d, nil
}

// newDesk returns a desk that knows of no event, with its watch as it was after
// the records that are sealed.
func newDesk(c *Config) (*Desk, error) {
	if err := c.Anonymise.check(); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	size := c.Journal.Size()
	if size > MaxEvents {
		return nil, ErrFull
	}
	if c.Sealed < 0 || c.Sealed > size {
		return nil, fmt.Errorf("intake: %d records are sealed, and there are %d; hint: the newest records are missing from the journal", c.Sealed, size)
	}
	history, err := OpenHistory(c.Snapshot)
	if err != nil {
		return nil, err
	}
	if history.cursor != c.Sealed {
		return nil, fmt.Errorf("intake: state of the sources: is that of %d records, and %d are sealed; hint: it is kept beside the records that are sealed, restore both from one place", history.cursor, c.Sealed)
	}
	return &Desk{
		log:       c.Log,
		journal:   c.Journal,
		catalogue: c.Catalogue,
		personal:  newPersonal(c.Catalogue),
		isType:    newIsType(),
		openKey:   c.OpenKey,
		anonymise: c.Anonymise,
		hasher:    newHasher(),
		next:      size,
		watch:     newWatch(history.sources, c.Sources),
	}, nil
}

// replay takes in the records from from on.
func (d *Desk) replay(ctx context.Context, from journal.Seq, progress func(journal.Seq)) error {
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan *chunk, 2*runtime.GOMAXPROCS(0)) // chunks in order
	work := make(chan *chunk)
	g.Go(func() error { return d.readChunks(ctx, from, queue, work) })
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for k := range work {
				k.err = k.digest(d)
				close(k.done)
			}
			return nil
		})
	}
	g.Go(func() error { return d.rememberChunks(ctx, queue, progress) })
	return g.Wait()
}

// A chunk is some records on their way through a replay.
type chunk struct {
	records []journal.Record
	done    chan struct{} // closed once what follows is set
	known   []remembered
	err     error
}

// A remembered is what the desk keeps in mind of one record.
type remembered struct {
	hash uint64
	told told
}

// readChunks reads the records from next on and hands them out.
func (d *Desk) readChunks(ctx context.Context, next journal.Seq, queue, work chan<- *chunk) error {
	defer close(queue)
	defer close(work)
	for next < d.next {
		records, err := d.journal.Read(next, readAtOnce)
		if err != nil {
			return err
		}
		k := &chunk{records: records, done: make(chan struct{})}
		for _, to := range []chan<- *chunk{queue, work} {
			select {
			case to <- k:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		next += journal.Seq(len(records))
	}
	return nil
}

// digest checks the records and finds what is to be remembered.
func (k *chunk) digest(d *Desk) error {
	k.known = make([]remembered, len(k.records))
	var r event.Record
	for i, rec := range k.records {
		if rec.Body == nil {
			continue // gone
		}
		if err := r.Decode(rec.Body); err != nil {
			return fmt.Errorf("record %d: %w", rec.Seq, err)
		}
		if err := r.Verify(); err != nil {
			return fmt.Errorf("record %d was changed: %w", rec.Seq, err)
		}
		m := &k.known[i]
		m.told = telling(&r)
		m.hash = d.hasher.event(d.hasher.source(string(m.told.source)), m.told.id)
	}
	return nil
}

// rememberChunks takes in what was read, in order.
func (d *Desk) rememberChunks(ctx context.Context, queue <-chan *chunk, progress func(journal.Seq)) error {
	for k := range queue {
		select {
		case <-k.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if k.err != nil {
			return k.err
		}
		for i, m := range k.known {
			if k.records[i].Body != nil {
				d.known.add(m.hash, k.records[i].Seq)
				d.watch.sources.take(m.told)
			}
		}
		if progress != nil {
			progress(k.records[len(k.records)-1].Seq + 1)
		}
	}
	return nil
}
