package intake

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// readAtOnce is how many records a replay asks for.
const readAtOnce = 4096

// Open returns a desk over the journal of c, having read and checked all of it:
// the desk recognises every event that was ever recorded, and every record's
// fields give the commitment that it carries. progress, if not nil, is called
// now and then with how many records were read.
func Open(ctx context.Context, c Config, progress func(journal.Seq)) (*Desk, error) {
	d := &Desk{
		log:       c.Log,
		journal:   c.Journal,
		catalogue: c.Catalogue,
		personal:  newPersonal(c.Catalogue),
		isType:    newIsType(),
		seed:      maphash.MakeSeed(),
		watch:     newWatch(c.Sources, time.Now()),
	}
	size := c.Journal.Size()
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan *chunk, 2*runtime.GOMAXPROCS(0)) // chunks in order
	work := make(chan *chunk)
	g.Go(func() error { return d.readChunks(ctx, size, queue, work) })
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
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	d.watch.wake(c.Sources, time.Now())
	return d, nil
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
	hash      uint64
	source    string
	received  time.Time
	sourceSeq int64
	own       *event.Record // of the log's own events only
}

// readChunks reads the first size records and hands them out.
func (d *Desk) readChunks(ctx context.Context, size journal.Seq, queue, work chan<- *chunk) error {
	defer close(queue)
	defer close(work)
	for next := journal.Seq(0); next < size; {
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
		if err := r.Decode(rec.Body); err != nil {
			return fmt.Errorf("record %d: %w", rec.Seq, err)
		}
		if err := r.Verify(); err != nil {
			return fmt.Errorf("record %d was changed: %w", rec.Seq, err)
		}
		var id []byte
		m := &k.known[i]
		for n := range r.Fields {
			switch f := &r.Fields[n]; f.Name {
			case "id":
				id = f.Value
			case "source":
				m.source = string(f.Value)
			case "received":
				m.received = f.Time()
			case "source_seq":
				m.sourceSeq = f.Int()
			}
		}
		m.hash = d.hash(m.source, id)
		if m.source == OwnSource {
			m.own = new(event.Record)
			*m.own, r = r, event.Record{}
		}
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
		for i := range k.known {
			d.remember(k.records[i].Seq, &k.known[i])
		}
		if progress != nil {
			progress(k.records[len(k.records)-1].Seq + 1)
		}
	}
	return nil
}

// remember takes in one recorded event.
func (d *Desk) remember(seq journal.Seq, m *remembered) {
	d.known.add(m.hash, seq)
	s := d.watch.source(m.source)
	s.lastSeen = m.received
	if m.sourceSeq > 0 {
		s.count(m.sourceSeq, m.received)
	}
	if m.own != nil {
		d.watch.recall(m.own.Open(), m.received)
	}
}

// recall takes in what the log recorded about a source, so that a restart does
// not record it again.
func (w *watch) recall(f event.Fields, at time.Time) {
	name := f.Text("metadata.source")
	if name == "" {
		return
	}
	s := w.source(name)
	switch f.Text("tag") {
	case "audit:source:gap":
		s.restarted = 0
		first, _ := f.Get("metadata.expected_seq")
		end, _ := f.Get("metadata.got_seq")
		s.report(first.Int(), end.Int()-1, true)
	case "audit:source:gap_close":
		s.filled = gap{}
	case "audit:source:silent":
		s.silent = true
	case "audit:source:resume":
		s.silent = false
	case "audit:source:clock_skew":
		s.clock.reported = at
	case "audit:ingest:late":
		s.late.reported = at
	}
}

func compareNames(a, b string) int { return cmp.Compare(a, b) }
