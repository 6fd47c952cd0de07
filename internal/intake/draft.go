package intake

import (
	"bytes"
	"hash/maphash"
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
	inside bool // made in this process, which may speak for the log
	now    time.Time
	parser event.Parser
	sealer event.Sealer
	random []byte // secrets not used yet

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
const maxKeptBytes = 1 << 20

func (b *draft) reset(from Origin) {
	b.from, b.inside = from, false
	b.now = time.Now()
	b.parser.Added = append(b.parser.Added[:0],
		event.TimeField("received", b.now),
		event.StringField("source", from.Source),
		event.StringField("trust", string(from.Trust)),
		event.StringField("outcome", string(event.Success)))
	if cap(b.records) > maxKeptBytes {
		b.records, b.events, b.bodies, b.random = nil, nil, nil, nil
	}
	b.records, b.events, b.bodies = b.records[:0], b.events[:0], b.bodies[:0]
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
	if len(b.random) < 2*event.SecretBytes {
		n := 1
		if i >= 0 {
			n = 128
		}
		b.random = randomness(b.random[:0], n)
	}
	var s event.Secrets
	copy(s.Open[:], b.random)
	copy(s.Private[:], b.random[event.SecretBytes:])
	clear(b.random[:2*event.SecretBytes])
	b.random = b.random[2*event.SecretBytes:]

	e := drafted{hash: b.desk.hash(b.from.Source, g.id), sourceSeq: g.sourceSeq, late: b.now.Sub(g.at.Time())}
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

// hash returns the hash under which an event is known.
func (d *Desk) hash(source string, id []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	h.WriteString(source)
	h.WriteByte(0)
	h.Write(id)
	return h.Sum64()
}

// sameEvent reports whether two records are of one event: the fields that the
// source sent are the same. What the log added may differ.
func sameEvent(a, b event.Fields) bool {
	return slices.EqualFunc(sent(a), sent(b), func(x, y event.Field) bool {
		return x.Name == y.Name && x.Type == y.Type && bytes.Equal(x.Value, y.Value)
	})
}

func sent(f event.Fields) event.Fields {
	return slices.DeleteFunc(slices.Clone(f), func(x event.Field) bool {
		return x.Name == "received" || x.Name == "trust"
	})
}
