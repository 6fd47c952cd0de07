// Package intake is the desk behind every door: it decides whether an event
// may enter the log, and it is the only caller of [journal.Journal.Append].
//
// # Promises
//
//   - When Accept returns nil, the event is durable.
//   - A source may send an event again for as long as its record is kept: it is
//     recorded once, and each time answered with the same position. Another
//     event under the same ID is refused, and nothing of it is stored.
//   - A batch is accepted whole or refused whole.
//   - A source's missing and silent hours become events: see [Desk.Run].
//   - The time a source states is kept as it is, however wrong.
//   - Of an address, no more bits than were asked for reach a record.
//
// # Forgetting
//
// An event is the same after an erasure: what was erased is compared by name and
// type only. An event whose record retention dropped is not known any more: sent
// again, it is recorded anew, and as it is past its time nobody sees it. It is never
// answered as recorded, because the desk remembers hashes, and to take another
// event for it would lose that one.
package intake

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// OwnSource is the source of the events that the log records about itself. No
// other program can submit under this name.
const OwnSource = "custody"

// A Desk accepts events. Its methods may be called concurrently.
type Desk struct {
	log       *slog.Logger
	journal   *journal.Journal
	catalogue *catalogue.Catalogue
	personal  *personal
	isType    *[event.CodeLimit]bool // see newIsType
	openKey   [event.SecretBytes]byte
	anonymise Anonymisation
	hasher    hasher
	drafts    sync.Pool // of *draft

	mu      sync.Mutex
	known   table       // durable events
	pending flight      // being recorded
	next    journal.Seq // behind the durable events; those in flight come after

	watch *watch
}

// A Config is what a desk needs. Log, Journal and Catalogue must be set.
type Config struct {
	Log       *slog.Logger
	Journal   *journal.Journal
	Catalogue *catalogue.Catalogue
	Sources   []Source // sources that must not fall silent

	// OpenKey is the log's key for open secrets, see [event.OpenSecret]. It is
	// random, secret and the same for the whole life of the log.
	OpenKey [event.SecretBytes]byte

	// Anonymise says what is recorded of addresses. To record less of them from
	// some day on does no harm to who sends an event of the day before again; to
	// record more makes a conflict of it.
	Anonymise Anonymisation

	// Sealed is how many records, from the first on, need not be read at start:
	// Known and Snapshot say what is to be known of them, and must be set unless
	// it is 0.
	Sealed journal.Seq

	// Known calls yield for each event that is sealed and whose record is still
	// kept. It may do so from several goroutines at once, in any order; yield
	// does not keep id.
	Known func(ctx context.Context, yield func(source string, id []byte, seq journal.Seq)) error

	// Snapshot is what [History.Snapshot] returned after Sealed records.
	Snapshot []byte
}

// A Source is a program that submits events.
type Source struct {
	Name        string
	SilentAfter time.Duration // 0: it may be silent as long as it likes
}

// An Origin says where a submission comes from.
type Origin struct {
	Source string
	Trust  event.Trust
}

// An Accepted says where an event is.
type Accepted struct {
	Seq        journal.Seq
	Commitment event.Commitment
	Duplicate  bool // it was there already
}

// A ConflictError means that another event was recorded under the same ID.
// Nothing of the submission was stored.
type ConflictError struct {
	Index int         // place in the batch, from 0; -1 for a single event
	ID    string      // the ID
	Seq   journal.Seq // where the other event is; -1 when it stands in the same batch
}

func (e *ConflictError) Error() string {
	where := fmt.Sprintf("event %d", e.Seq)
	if e.Seq < 0 {
		where = "an event of the same batch"
	}
	if e.Index >= 0 {
		return fmt.Sprintf("intake: event %d of the batch: %s has the ID %q and other content", e.Index, where, e.ID)
	}
	return fmt.Sprintf("intake: %s has the ID %q and other content", where, e.ID)
}

// ErrFull means that the log holds as many events as its desk can tell apart.
var ErrFull = errors.New("intake: the log is full")

// Accept records one event in JSON. It returns nil only once the event is
// durable. After an error from the journal the event may or may not have been
// recorded; sending it again decides.
func (d *Desk) Accept(ctx context.Context, from Origin, data []byte) (Accepted, error) {
	b := d.draft(from)
	defer d.drafts.Put(b)
	fields, err := b.parser.Parse(data)
	if err != nil {
		return Accepted{}, err
	}
	if err := b.add(-1, fields); err != nil {
		return Accepted{}, err
	}
	accepted, err := d.submit(ctx, b)
	if err != nil {
		return Accepted{}, err
	}
	return accepted[0], nil
}

// AcceptBatch records all events of a batch, or none. It is otherwise as
// [Desk.Accept].
func (d *Desk) AcceptBatch(ctx context.Context, from Origin, data []byte, format event.Format) ([]Accepted, error) {
	b := d.draft(from)
	defer d.drafts.Put(b)
	if err := b.parser.ParseBatch(data, format, b.add); err != nil {
		return nil, err
	}
	return d.submit(ctx, b)
}

// Record records an event that was made inside this process, under the name of
// source. It fills in the ID and the time when they are missing.
func (d *Desk) Record(ctx context.Context, source string, e *event.Event) (Accepted, error) {
	accepted, err := d.RecordAll(ctx, source, e)
	if err != nil {
		return Accepted{}, err
	}
	return accepted[0], nil
}

// RecordAll is [Desk.Record] for several events, of which all are recorded or
// none.
func (d *Desk) RecordAll(ctx context.Context, source string, events ...*event.Event) ([]Accepted, error) {
	b := d.draft(Origin{Source: source, Trust: event.Witnessed})
	defer d.drafts.Put(b)
	b.inside = true
	for i, e := range events {
		full := *e
		if full.ID == "" {
			full.ID = event.NewID()
		}
		if full.Time.IsZero() {
			full.Time = b.now
		}
		data, err := json.Marshal(&full)
		if err != nil {
			return nil, fmt.Errorf("intake: %w", err)
		}
		fields, err := b.parser.Parse(data)
		if err != nil {
			return nil, err
		}
		if err := b.add(i, fields); err != nil {
			return nil, err
		}
	}
	return d.submit(ctx, b)
}

// submit records what b holds and has not been recorded yet.
func (d *Desk) submit(ctx context.Context, b *draft) ([]Accepted, error) {
	decide, err := d.claim(ctx, b)
	if err != nil {
		return nil, err
	}
	var first journal.Seq
	if bodies := b.fresh(); len(bodies) > 0 {
		// From here on the events are recorded whether or not anybody still
		// waits: a client that gave up will come back with the same IDs.
		first, err = d.journal.Append(context.WithoutCancel(ctx), bodies...)
	}
	decide(first, err)
	if err != nil {
		return nil, err
	}
	return b.accepted(first), nil
}

// draft returns an empty draft of a submission from from.
func (d *Desk) draft(from Origin) *draft {
	b, ok := d.drafts.Get().(*draft)
	if !ok {
		b = &draft{desk: d}
	}
	b.reset(from)
	return b
}

// randomness reads private secrets for n events.
func randomness(buf []byte, n int) []byte {
	size := n * event.SecretBytes
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	rand.Read(buf) // never fails
	return buf
}
