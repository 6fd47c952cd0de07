package segment

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/custody-log/custody/event"
)

// Load makes r ready for reading all rows, and checks the dictionaries: it takes
// them into memory, sorted as they have to be, and what the rows of a kind have
// in common. A reader that did that is not to be given back.
func (r *Reader) Load() error {
	for p := range r.parts {
		if err := r.load(part(p)); err != nil {
			return err
		}
	}
	r.forms = make([]rowForm, len(r.s.kinds))
	for i, k := range r.s.kinds {
		r.forms[i] = newRowForm(k)
	}
	return nil
}

func (r *Reader) load(p part) (err error) {
	defer guard(r.name(p), &err)
	for d, dict := range r.parts[p].dicts {
		if dict.n > 0 {
			dict.whole = dict.load(domain(d))
		}
	}
	return nil
}

// Another returns a reader for another goroutine, of the same segment, that has
// what [Reader.Load] took into memory.
func (r *Reader) Another() *Reader {
	n := r.s.Reader()
	n.forms = r.forms
	for p := range n.parts {
		for d, dict := range n.parts[p].dicts {
			dict.whole = r.parts[p].dicts[d].whole
		}
	}
	return n
}

// A wholeDict is a dictionary in memory, its values as they are in records:
//
//	uvarint bytes of the ID │ uvarint 2·bytes of the name, 1 more if it is not the end of the ID │ ID │ that name
//
// What is no entity is its own ID and name. There are no pointers in it, so that
// nobody has to look through it for what is in use, and a value is in one place,
// so that the processor waits for it once.
type wholeDict struct {
	memory []byte
	starts []int
}

// load reads all values of a dictionary, and checks that they are sorted.
func (r *dictReader) load(d domain) *wholeDict {
	w := &wholeDict{starts: make([]int, r.n)}
	var before, name, id []byte
	for i := range w.starts {
		value := r.at(i)
		if i > 0 && bytes.Compare(before, value) >= 0 {
			panic(damagef("value %d of a dictionary is not greater than the one before", i))
		}
		before = append(before[:0], value...)
		name, id = name[:0], id[:0]
		switch {
		case d.named():
			name, id = splitEntity(name, id, value)
		case d == tokens:
			id = unpackHex(id, value)
			name = id // it is both
		default:
			id, name = value, value
		}
		w.add(i, id, name)
	}
	return w
}

// add appends value i.
func (w *wholeDict) add(i int, id, name []byte) {
	w.starts[i] = len(w.memory)
	apart := uint64(0)
	if !bytes.HasSuffix(id, name) {
		apart = 1
	}
	w.memory = binary.AppendUvarint(w.memory, uint64(len(id)))
	w.memory = binary.AppendUvarint(w.memory, uint64(len(name))*2+apart)
	w.memory = append(w.memory, id...)
	if apart > 0 {
		w.memory = append(w.memory, name...)
	}
}

// at returns a member of value i.
func (w *wholeDict) at(i uint32, member uint8) []byte {
	if uint64(i) >= uint64(len(w.starts)) {
		panic(damagef("value %d of %d", i, len(w.starts)))
	}
	value := w.memory[w.starts[i]:]
	id, n := binary.Uvarint(value)
	name, m := binary.Uvarint(value[n:])
	start, end := n+m, n+m+int(id)
	if member == isEntityName {
		if name&1 != 0 {
			end += int(name / 2)
		}
		start = end - int(name/2)
	}
	return value[start:end:end]
}

// A rowForm is a row of a kind, without what its rows do not have in common.
type rowForm struct {
	fields     []event.StoredField
	differ     []uint8      // the fields that rows do not have in common
	columns    []partColumn // that have values of theirs
	source, id int          // which fields they are; -1: there is none
}

// A partColumn is a column of a part.
type partColumn struct {
	part   part
	column Column
}

func newRowForm(k *kind) rowForm {
	f := rowForm{fields: make([]event.StoredField, len(k.fields)), source: -1, id: -1}
	for i := range k.fields {
		f.fields[i].Field = k.fields[i].Field
		if k.fields[i].where != inKind || k.fields[i].Private {
			f.differ = append(f.differ, uint8(i))
		}
		c := partColumn{k.fields[i].part(), k.fields[i].column}
		if k.fields[i].where == inColumn && k.fields[i].slot == 0 && !slices.Contains(f.columns, c) {
			f.columns = append(f.columns, c)
		}
		switch k.fields[i].Code() {
		case sourceCode:
			f.source = i
		case idCode:
			f.id = i
		}
	}
	return f
}

// touchRows is for how many rows at a time [Reader.touch] is called.
const touchRows = 16

// touch looks at the dictionary values of a row and of those after it, which lie
// all over the memory: one look after the other the processor waits for at once,
// but not when it has a record to hash between two.
func (r *Reader) touch(row int) {
	var err error
	defer guard("", &err) // what is damaged, the row that needs it will say
	r.touched = row + touchRows
	for end := min(r.touched, r.s.rows); row < end; row++ {
		for _, c := range r.forms[r.kindIDs.get(row)].columns {
			q := &r.parts[c.part]
			id, _ := q.columns[c.column].ids.get(row)
			if w := q.dicts[domainOf[c.column]].whole; w != nil {
				r.seen ^= w.memory[w.starts[id]]
			}
		}
	}
}

// fillForm sets the fields of a record to those of the row, and returns two of
// them.
func (r *Reader) fillForm(record *event.Record) (source, id []byte) {
	f := &r.forms[r.kindID]
	if r.row >= r.touched || r.row < r.touched-touchRows {
		r.touch(r.row)
	}
	record.Fields = append(record.Fields[:0], f.fields...)
	for _, i := range f.differ {
		r.fill(&record.Fields[i], &r.kind.fields[i], record)
	}
	if f.source >= 0 {
		source = record.Fields[f.source].Value
	}
	if f.id >= 0 {
		id = record.Fields[f.id].Value
	}
	return source, id
}
