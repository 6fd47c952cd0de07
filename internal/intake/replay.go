package intake

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// readAtOnce is how many records a replay asks for.
const readAtOnce = 4096

// Open returns a desk over the journal of c, having read all of it: the desk
// recognises every event that was ever recorded. progress, if not nil, is
// called now and then with how many records were read.
func Open(ctx context.Context, c Config, progress func(journal.Seq)) (*Desk, error) {
	d := &Desk{
		log:       c.Log,
		journal:   c.Journal,
		catalogue: c.Catalogue,
		personal:  newPersonal(c.Catalogue),
		seed:      maphash.MakeSeed(),
		pending:   make(map[uint64]chan struct{}),
		watch:     newWatch(c.Sources, time.Now()),
	}
	var r event.Record
	for next := journal.Seq(0); next < c.Journal.Size(); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records, err := c.Journal.Read(next, readAtOnce)
		if err != nil {
			return nil, fmt.Errorf("intake: %w", err)
		}
		for _, rec := range records {
			if err := r.Decode(rec.Body); err != nil {
				return nil, fmt.Errorf("intake: record %d: %w", rec.Seq, err)
			}
			d.remember(rec.Seq, r.Fields)
		}
		next += journal.Seq(len(records))
		if progress != nil {
			progress(next)
		}
	}
	return d, nil
}

// remember takes in one recorded event.
func (d *Desk) remember(seq journal.Seq, fields []event.StoredField) {
	var id []byte
	var name, tag string
	var received time.Time
	var count int64
	for i := range fields {
		switch f := &fields[i]; f.Name {
		case "id":
			id = f.Value
		case "source":
			name = string(f.Value)
		case "tag":
			tag = string(f.Value)
		case "received":
			received = f.Time()
		case "source_seq":
			count = f.Int()
		}
	}
	d.known.add(d.hash(name, id), seq)
	s := d.watch.source(name)
	s.lastSeen = received
	if count > 0 {
		s.count(count, received)
	}
	if name == OwnSource {
		d.watch.recall(tag, fields, received)
	}
}

// recall takes in what the log recorded about a source, so that a restart does
// not record it again.
func (w *watch) recall(tag string, fields []event.StoredField, at time.Time) {
	var name string
	var first, end int64
	for i := range fields {
		switch f := &fields[i]; f.Name {
		case "metadata.source":
			name = string(f.Value)
		case "metadata.expected_seq":
			first = f.Int()
		case "metadata.got_seq":
			end = f.Int()
		}
	}
	if name == "" {
		return
	}
	s := w.source(name)
	switch tag {
	case "audit:source:gap":
		s.report(first, end-1)
	case "audit:source:silent":
		s.silent = true
	case "audit:source:resume":
		s.silent = false
	case "audit:source:clock_skew":
		s.skewReport = at
	}
}

func compareNames(a, b string) int { return cmp.Compare(a, b) }
