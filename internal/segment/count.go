package segment

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/custody-log/custody/event"
)

// KindCounts returns in how many of the given rows each kind is, by its number,
// see [Selection.Kinds].
func (x *Selection) KindCounts(rows []uint32) (counts []int64, err error) {
	defer guard(x.name, &err)
	counts = make([]int64, len(x.at.kindsThere()))
	for _, row := range rows {
		k := int(x.at.kindOf(row))
		if k >= len(counts) {
			panic(damagef("kind %d of %d", k, len(counts)))
		}
		counts[k]++
	}
	return counts, nil
}

// Times calls yield with the time of each of the given rows, in microseconds
// since 1970.
func (x *Selection) Times(rows []uint32, yield func(micros int64)) (err error) {
	defer guard(x.name, &err)
	for _, row := range rows {
		yield(x.at.micros(row))
	}
	return nil
}

// Kinds returns the value that all rows of each kind have of a field that they
// have in common: tag, outcome, source, trust, actor.type, credential.kind and
// the like. "" stands for none.
func (x *Selection) Kinds(field string) []string {
	code := event.CodeOf(field)
	kinds := x.at.kindsThere()
	list := make([]string, len(kinds))
	for i, k := range kinds {
		list[i] = string(k.value(code))
	}
	return list
}

// Values counts the values of columns of one domain over rows: it calls yield
// with values and in how many rows each is, once however often a row has it. A
// value may come more than once, for different rows. Entities are shown by
// name, those without one by id.
//
// Of hidden, which are some of rows, what is personal does not count. Both are
// ascending.
func (x *Selection) Values(columns []Column, rows, hidden []uint32, yield func(value string, count int)) (err error) {
	defer guard(x.name, &err)
	c := counting{at: x.at, domain: domainOf[columns[0]], rows: rows, first: make([]item, len(rows))}
	for p := range numParts {
		v := x.at.values(p)
		if v == nil {
			continue
		}
		for _, column := range columns {
			eachValue(v, column, rows, func(i int, id uint32) {
				if p == main || !contains(hidden, rows[i]) {
					c.add(p, i, id)
				}
			})
		}
	}
	c.addMore()
	c.each(yield)
	return nil
}

// contains reports whether an ascending list has a row.
func contains(rows []uint32, row uint32) bool {
	_, found := slices.BinarySearch(rows, row)
	return found
}

// each calls yield with what was counted.
func (c *counting) each(yield func(value string, count int)) {
	for p := range c.counts {
		for id, n := range c.counts[p] {
			if n > 0 {
				yield(c.shown(item(id)<<1|item(p)+1), int(n))
			}
		}
	}
}

// An item is a value of a domain: 1 + (its number, and the part it is in). 0 is
// none.
type item uint64

// A counting counts items.
type counting struct {
	at     index
	domain domain
	rows   []uint32
	counts [numParts][]uint32
	first  []item // of each row
	more   []moreItem

	name, id []byte // memory of shown
}

// A moreItem is one that a row has besides the first.
type moreItem struct {
	row int // of rows
	item
}

func (c *counting) add(p part, i int, id uint32) {
	it := item(id)<<1 | item(p) + 1
	if c.first[i] != 0 {
		c.more = append(c.more, moreItem{i, it})
		return
	}
	c.first[i] = it
	c.count(it)
}

func (c *counting) count(it item) {
	id, counts := int((it-1)>>1), &c.counts[(it-1)&1]
	if id >= len(*counts) {
		*counts = append(*counts, make([]uint32, max(id+1, 2*len(*counts))-len(*counts))...)
	}
	(*counts)[id]++
}

// addMore counts further items of rows, but not those that are shown as one of
// the same row: a project and its version, say.
func (c *counting) addMore() {
	slices.SortFunc(c.more, func(a, b moreItem) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.item, b.item)) })
	texts := make(map[item]string)
	text := func(it item) string {
		s, ok := texts[it]
		if !ok {
			s = c.shown(it)
			texts[it] = s
		}
		return s
	}
	var seen []string
	for k, m := range c.more {
		if k == 0 || c.more[k-1].row != m.row {
			seen = append(seen[:0], text(c.first[m.row]))
		}
		if s := text(m.item); !slices.Contains(seen, s) {
			seen = append(seen, s)
			c.count(m.item)
		}
	}
}

func (c *counting) shown(it item) (text string) {
	value := c.at.values(part((it-1)&1)).value(c.domain, uint32((it-1)>>1))
	text, c.name, c.id = shown(c.domain, value, c.name, c.id)
	return text
}

// eachValue calls yield with each value of a column in rows, which are
// ascending, and with which of rows it is in.
func eachValue(v values, c Column, rows []uint32, yield func(i int, id uint32)) {
	switch v := v.(type) {
	case *sealedValues:
		v.columns[c].each(rows, yield)
	case *tableValues:
		v.columns[c].each(rows, yield)
	default:
		panic(fmt.Sprintf("segment: values of type %T", v))
	}
}

func (c *segmentColumn) each(rows []uint32, yield func(i int, id uint32)) {
	if !c.there {
		return
	}
	for i, row := range rows {
		if id, ok := c.ids.get(int(row)); ok {
			yield(i, id)
		}
		if c.extraRows.n == 0 {
			continue
		}
		for e := c.extraOf(int(row)); e < c.extraRows.n && c.extraRows.get(e) == row; e++ {
			yield(i, c.extraIDs.get(e))
		}
	}
}

func (k *tableColumn) each(rows []uint32, yield func(i int, id uint32)) {
	for i, row := range rows {
		if int(row) < len(k.ids) && k.ids[row] != none {
			yield(i, k.ids[row])
		}
	}
	for _, extra := range k.extra {
		if i, found := slices.BinarySearch(rows, extra.row); found {
			yield(i, extra.id)
		}
	}
}

// shown returns a value of d as people know it. name and id are memory, which it
// returns, too.
func shown(d domain, value, name, id []byte) (text string, _, _ []byte) {
	switch {
	case d.named():
		name, id = splitEntity(name[:0], id[:0], value)
		if len(name) > 0 {
			return string(name), name, id
		}
		return string(id), name, id
	case d == tokens:
		id = unpackHex(id[:0], value)
		return string(id), name, id
	case d == addresses:
		f := event.Field{Type: event.IP, Value: value}
		return f.IP().String(), name, id
	}
	return string(value), name, id
}
