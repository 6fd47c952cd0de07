package reader

import (
	"sync"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// A Policy decides by a catalogue. It may be used concurrently, and must not be
// copied or changed after its first use.
type Policy struct {
	Catalogue *catalogue.Catalogue
	Derive    *query.Derive // nil, or without Country: no country is known

	once  sync.Once
	table *table
}

// Disclose returns what r gets of an event with the given fields; ok is false if
// that is nothing at all. The fields shown share their values with those given, and
// nothing else.
//
// What was erased may be given as a field without a value: it comes out, or its
// name does, where it would have with one. Whose ID was erased is nobody.
//
// It takes time in proportion to the fields, and for each subject to what r has
// roles in.
func (p *Policy) Disclose(r *Reader, fields event.Fields) (d Disclosure, ok bool) {
	var e sighting
	t := p.known()
	t.sight(&e, fields)
	l := p.look(r, &e)
	if l.whole|l.part == 0 {
		return d, false
	}
	d.As, d.Partial = l.whole|l.part, l.why
	var memory [event.MaxFields]decision // as many as an event has; pseudonyms may be more
	verdicts := memory[:0]
	var shown, masked int
	var from origins
	for i := range fields {
		f := fields[i] // a copy, because Code writes into it
		verdict := p.decide(&l, &e, &f)
		verdicts = append(verdicts, verdict)
		switch verdict {
		case show:
			shown++
			from.ip = from.ip || f.Code() == codeIP
			from.agent = from.agent || f.Code() == codeAgent
		case mask:
			masked++
		case hide:
		}
	}
	if shown+masked == 0 {
		return Disclosure{}, false
	}
	d.fill(fields, verdicts, shown, masked)
	p.origin(&d, &l, &e, &from)
	return d, true
}

// fill fills in the fields that are shown, and the names of those that are masked.
func (d *Disclosure) fill(fields event.Fields, verdicts []decision, shown, masked int) {
	d.Fields = make(event.Fields, 0, shown)
	if masked > 0 {
		d.Masked = make([]string, 0, masked)
	}
	for i := 0; i < len(fields); {
		start := i
		for i < len(fields) && verdicts[i] == show {
			i++
		}
		d.Fields = append(d.Fields, fields[start:i]...)
		for ; i < len(fields) && verdicts[i] != show; i++ {
			if verdicts[i] == mask {
				d.Masked = append(d.Masked, fields[i].Name)
			}
		}
	}
}

// A look is one reader looking at one event.
type look struct {
	tag, class string
	typ        *catalogue.Type         // nil: not in the catalogue
	whole      catalogue.Readers       // as what the reader sees the event
	part       catalogue.Readers       // as what they see a part of it
	why        catalogue.ConditionKind // why they see only a part; "" if they do not
	acted      bool                    // the reader did it, or it was done for them
	clear      bool
	rules      []*[event.CodeLimit]rule // of the class, by number of the type of party
}

// look returns what kinds of readers r is to e, as far as they see anything.
func (p *Policy) look(r *Reader, e *sighting) look {
	typ, known := p.Catalogue.Lookup(string(e.tag))
	l := look{clear: r.Clear}
	if known {
		l.tag = typ.Tag
	} else {
		l.tag = string(e.tag)
	}
	l.class = catalogue.ClassOf(l.tag)
	l.rules = p.table.rules.of(l.class)
	to := r.relate(e, l.class)
	l.acted = to.acted
	if !known {
		l.whole = to.is & p.Catalogue.VisibilityOf(l.tag)
		return l
	}
	l.typ, l.whole = typ, to.is&typ.Visibility
	nearest := catalogue.Readers(0)
	for _, c := range typ.Conditions {
		if !to.is.Has(c.Reader) || !partial(c.Kind) {
			continue
		}
		l.part |= c.Reader
		// Who is concerned is told why they see as much as they do.
		if c.Reader > nearest {
			nearest, l.why = c.Reader, c.Kind
		}
	}
	if l.whole != 0 {
		l.why = ""
	}
	return l
}

// partial reports whether a reader under the condition sees a part of the event.
// How many there were is not said event by event.
func partial(k catalogue.ConditionKind) bool {
	return k.Partial() && k != catalogue.Count && k != catalogue.YearlyCount
}
