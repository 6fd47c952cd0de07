package intake

import (
	"bytes"
	"slices"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// A draft is one submission on its way into the journal: the records of its
// events and what is needed to recognise them. Its memory is used again.
type draft struct {
	desk   *Desk
	from   Origin
	source uint64 // share of from.Source in hashes
	inside bool   // made in this process, which may speak for the log
	now    time.Time
	parser event.Parser
	sealer event.Sealer
	random []byte // private secrets not used yet

	records []byte // all records, one after the other
	events  []drafted
	bodies  [][]byte
}

// A drafted is one event of a draft.
type drafted struct {
	end        int // of its record in draft.records
	hash       uint64
	sourceSeq  int64
	late       time.Duration // from when it happened, by the source's clock, until it was received
	commitment event.Commitment
	seen       int         // how many known positions under hash were compared
	duplicate  bool        // of the event at seq
	seq        journal.Seq // of the event it duplicates; -1-i for event i of the same draft
}

// maxKeptBytes bounds what a draft keeps between submissions.
const maxKeptBytes = 4 << 20

func (b *draft) reset(from Origin) {
	b.from, b.inside = from, false
	b.source = b.desk.hasher.source(from.Source)
	b.now = time.Now()
	b.setAdded()
	if cap(b.records) > maxKeptBytes {
		b.records, b.events, b.bodies, b.random = nil, nil, nil, nil
	}
	b.records, b.events, b.bodies = b.records[:0], b.events[:0], b.bodies[:0]
}

// setAdded sets the fields that the log adds. Those of the submission before
// are kept where they are the same: their names have been looked up.
func (b *draft) setAdded() {
	received := event.TimeField("received", b.now)
	added := b.parser.Added
	if len(added) == 0 || string(added[1].Value) != b.from.Source || string(added[2].Value) != string(b.from.Trust) {
		b.parser.Added = event.Fields{
			received,
			event.StringField("source", b.from.Source),
			event.StringField("trust", string(b.from.Trust)),
			event.StringField("outcome", string(event.Success)),
		}
		return
	}
	added[0].Value = received.Value
}

// add checks the fields of an event against the catalogue and appends its
// record.
func (b *draft) add(i int, f event.Fields) error {
	g, invalid := b.desk.mark(f)
	if invalid == nil && !b.inside {
		invalid = checkClass(g.tag)
	}
	if invalid != nil {
		invalid.Index = i
		return invalid
	}
	if len(b.random) < event.SecretBytes {
		n := 1
		if i >= 0 {
			n = 128
		}
		b.random = randomness(b.random[:0], n)
	}
	s := event.Secrets{Open: event.OpenSecret(&b.desk.openKey, b.from.Source, g.id)}
	copy(s.Private[:], b.random)
	clear(b.random[:event.SecretBytes])
	b.random = b.random[event.SecretBytes:]

	e := drafted{hash: b.desk.hasher.event(b.source, g.id), sourceSeq: g.sourceSeq, late: b.now.Sub(g.at.Time())}
	b.records, e.commitment = b.sealer.AppendRecord(b.records, f, &s)
	e.end = len(b.records)
	b.events = append(b.events, e)
	return nil
}

// record returns the record of event i.
func (b *draft) record(i int) []byte {
	start := 0
	if i > 0 {
		start = b.events[i-1].end
	}
	return b.records[start:b.events[i].end:b.events[i].end]
}

// fresh returns the records of the events that are not duplicates.
func (b *draft) fresh() [][]byte {
	b.bodies = b.bodies[:0]
	for i := range b.events {
		if !b.events[i].duplicate {
			b.bodies = append(b.bodies, b.record(i))
		}
	}
	return b.bodies
}

// accepted returns the answer, given the position of the first fresh event.
func (b *draft) accepted(first journal.Seq) []Accepted {
	list := make([]Accepted, len(b.events))
	next := first
	for i := range b.events {
		e := &b.events[i]
		if !e.duplicate {
			list[i] = Accepted{Seq: next, Commitment: e.commitment}
			next++
			continue
		}
		if e.seq < 0 {
			list[i] = list[-1-e.seq]
			list[i].Duplicate = true
			continue
		}
		list[i] = Accepted{Seq: e.seq, Commitment: e.commitment, Duplicate: true}
	}
	return list
}

// sameEvent reports whether the records mine and theirs are of one event: the
// fields that the source sent are the same. What the log added may differ, and
// what was erased is not there to be compared.
func (d *Desk) sameEvent(mine, theirs *event.Record) bool {
	return slices.EqualFunc(sent(mine), sent(theirs), func(x, y event.StoredField) bool {
		return x.Name == y.Name && x.Type == y.Type && (x.Erased || y.Erased || bytes.Equal(x.Value, d.recordable(&y)))
	})
}

// recordable returns what would be recorded of f now, which is less than when it
// was recorded if addresses are cut shorter since.
func (d *Desk) recordable(f *event.StoredField) []byte {
	if f.Type == event.IP {
		return d.anonymise.cutValue(f.Value)
	}
	return f.Value
}

// sent returns the fields of r that its source sent.
func sent(r *event.Record) []event.StoredField {
	return slices.DeleteFunc(slices.Clone(r.Fields), func(f event.StoredField) bool {
		code := f.Code()
		return code == codeReceived || code == codeTrust
	})
}
