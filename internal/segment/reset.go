package segment

// Reset empties t for other rows, keeping its memory: a table that grows anew
// each time costs as much for growing as for what it holds.
func (t *Table) Reset() {
	t.seqs, t.times, t.received, t.kinds = t.seqs[:0], t.times[:0], t.received[:0], t.kinds[:0]
	clear(t.kindIDs)
	clear(t.kindList)
	t.kindList = t.kindList[:0]
	t.ids, t.requests = t.ids[:0], t.requests[:0]
	clear(t.exceptions)
	t.exceptions = t.exceptions[:0]
	clear(t.ownOpen)
	t.bytes, t.disorder = 0, false
	for p := range t.parts {
		t.parts[p].reset()
	}
}

func (q *tablePart) reset() {
	for d := range q.domains {
		v := &q.domains[d]
		clear(v.arena) // personal values must not stay in memory
		v.arena, v.ends = v.arena[:0], v.ends[:0]
		clear(v.slots)
	}
	for c := range q.columns {
		k := &q.columns[c]
		k.ids, k.prev, k.heads, k.extra = k.ids[:0], k.prev[:0], k.heads[:0], k.extra[:0]
	}
	clear(q.blob)
	clear(q.secrets)
	q.blob, q.ends, q.secrets = q.blob[:0], q.ends[:0], q.secrets[:0]
	for _, l := range q.lists() {
		l.reset()
	}
}

// lists returns what finds words and keys.
func (q *tablePart) lists() [4]*wordLists {
	return [...]*wordLists{&q.texts, &q.valueTexts, &q.keys, &q.names}
}
