package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
)

// A stretch is a part of one file that is read at once.
type stretch struct {
	name  string
	mark  mark
	start point
	end   int64 // offset after it
	stop  Seq   // records from here on are not wanted, or not durable
}

// Read implements [Door]. Every record is checked against its checksum, every
// time. If the record at from is damaged the error is a [*CorruptError].
func (f *Files) Read(from Seq, limit int) ([]Record, error) {
	f.mu.Lock()
	older, tail := f.older, f.tail
	f.mu.Unlock()

	first := tail.base
	if len(older) > 0 {
		first = older[0].base
	}
	switch {
	case from < 0:
		return nil, fmt.Errorf("journal: read record %d: want a position from 0 on", from)
	case from < first:
		return nil, fmt.Errorf("%w: record %d, the first that is here is %d", ErrDropped, from, first)
	}
	var records []Record
	budget := MaxReadBytes
	for limit > len(records) && from < tail.next && budget > 0 {
		batch, err := f.readSome(older, tail, from, limit-len(records), budget)
		if err != nil && len(records) == 0 {
			return nil, f.orDropped(err, from)
		}
		if err != nil {
			return records, nil //nolint:nilerr // the next Read begins at the damage and reports it
		}
		for _, r := range batch {
			budget -= len(r.Body)
		}
		from += Seq(len(batch))
		if records == nil {
			records = batch
		} else {
			records = append(records, batch...)
		}
	}
	return records, nil
}

// orDropped returns err, which ended the reading of record from, or ErrDropped
// if its file was dropped meanwhile: Drop takes it from the list before it
// removes it.
func (f *Files) orDropped(err error, from Seq) error {
	if first := f.First(); from < first {
		return fmt.Errorf("%w: record %d, the first that is here is %d", ErrDropped, from, first)
	}
	if f.readOnly && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: record %d: its file was removed since the journal was opened for reading", ErrDropped, from)
	}
	return err
}

// readSome reads records from one file: at least one, as there is one.
func (f *Files) readSome(older []*olderFile, t tail, from Seq, limit, budget int) ([]Record, error) {
	c := &olderContent{mark: t.mark, index: t.index, end: t.end, next: t.next}
	base := t.base
	if i := sort.Search(len(older), func(i int) bool { return older[i].end > from }); i < len(older) {
		base = older[i].base
		if c = older[i].content.Load(); c == nil {
			var err error
			if c, err = f.readContent(base, older[i].end); err != nil {
				return nil, err
			}
			older[i].content.Store(c) // two readers may both get here, with the same content
		}
	}
	if from >= c.next {
		return nil, c.bad
	}
	return f.readStretch(c.stretch(base, from, limit, budget), from, budget)
}

// stretch returns where to look for up to limit records of about budget bytes
// from from on, and for at least one.
func (c *olderContent) stretch(base, from Seq, limit, budget int) stretch {
	i := c.index.at(from)
	s := stretch{name: fileName(base), mark: c.mark, start: c.index[i], end: c.end, stop: c.next}
	if int64(limit) < int64(c.next-from) {
		s.stop = from + Seq(limit)
	}
	for _, p := range c.index[i+1:] {
		if p.seq >= s.stop || (p.seq > from && p.off-s.start.off >= int64(budget)) {
			s.end, s.stop = p.off, min(s.stop, p.seq)
			break
		}
	}
	return s
}

// readStretch returns the records of s from from on.
func (f *Files) readStretch(s stretch, from Seq, budget int) ([]Record, error) {
	file, err := f.fs.OpenRead(s.name)
	if err != nil {
		return nil, fmt.Errorf("journal: read record %d: %w", from, err)
	}
	defer file.Close()
	b := make([]byte, s.end-s.start.off)
	n, err := file.ReadAt(b, s.start.off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("journal: read record %d: %w", from, err)
	}
	records, damage := s.parse(b[:n], from, budget, false)
	switch {
	case damage == nil:
		return compact(records, len(b)), nil
	case len(records) > 0:
		return records, nil // the next Read begins at the damage and reports it
	}
	// A damaged length before from shows only in a later frame. Look again,
	// at every byte, to name the right record.
	if _, first := s.parse(b[:n], from, budget, true); first != nil {
		damage = first
	}
	return nil, damage
}

// parse returns the records in b, which is s as stored, from from on, up to
// the first damage. With checkAll it checks the records before from too.
func (s stretch) parse(b []byte, from Seq, budget int, checkAll bool) ([]Record, *CorruptError) {
	records := make([]Record, 0, s.stop-from)
	seq, left := s.start.seq, s.start.left
	var pos int
	corrupt := func(reason string) *CorruptError {
		return &CorruptError{File: s.name, Offset: s.start.off + int64(pos), Seq: seq, Reason: reason}
	}
	for seq < s.stop {
		if left == 0 {
			h, ok := parseGroupHeader(b[pos:], s.mark)
			if !ok || h.first != seq {
				return records, corrupt("no group begins here")
			}
			left = int32(h.count)
			pos += groupHeaderBytes
			continue
		}
		body, reason := parseFrame(b[pos:], checkAll || seq >= from)
		if reason != "" {
			return records, corrupt(reason)
		}
		if seq >= from {
			if budget <= 0 {
				return records, nil
			}
			budget -= len(body)
			records = append(records, Record{Seq: seq, Body: body})
		}
		pos += frameHeaderBytes + len(body)
		left--
		seq++
	}
	return records, nil
}

// compact moves records into memory of their own if they are a small part of
// the size bytes that were read: who keeps one should not keep all.
func compact(records []Record, size int) []Record {
	total := 0
	for _, r := range records {
		total += len(r.Body)
	}
	if total > size/2 {
		return records
	}
	own := make([]byte, 0, total)
	for i, r := range records {
		own = append(own, r.Body...)
		records[i].Body = own[len(own)-len(r.Body) : len(own) : len(own)]
	}
	return slices.Clip(records)
}

// readContent finds out what can be read of the file of base, which should
// hold the records up to next and say that others follow.
func (f *Files) readContent(base, next Seq) (*olderContent, error) {
	file, err := f.fs.OpenRead(fileName(base))
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	defer file.Close()
	s, err := newScan(file, base)
	if err != nil {
		return nil, err
	}
	c := &olderContent{mark: s.mark, next: base}
	for {
		g, err := s.step()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.As(err, &c.bad) {
			return nil, err
		}
		if c.damage == nil {
			c.damage = g.bad
		}
		if c.bad != nil {
			c.damage = cmp.Or(c.damage, c.bad)
			return c, nil
		}
		// Only frames before a damaged one are certain to begin where they
		// seem to. The records after it are found by way of the next group.
		c.index.grow(g.first, g.off, g.count, g.ends)
		c.end, c.next = s.off, s.next
	}
	if s.last != kindEnd || s.next != next {
		c.bad = s.corrupt(fmt.Sprintf("the file ends here, the next begins with record %d", next))
		c.damage = cmp.Or(c.damage, c.bad)
	}
	return c, nil
}
