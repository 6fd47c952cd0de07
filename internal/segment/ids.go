package segment

import "github.com/custody-log/custody/event"

// IDs calls yield with the source, the ID and the position of every record. id
// is valid during the call.
func (s *Segment) IDs(yield func(source string, id []byte, seq int64)) (err error) {
	defer guard(s.parts[main].pages.name, &err)
	r := s.Reader()
	sources := make([]string, len(s.kinds))
	forms := make([]*kindField, len(s.kinds))
	for i, k := range s.kinds {
		sources[i] = string(k.value(sourceCode))
		for j := range k.fields {
			if k.fields[j].where == isID {
				forms[i] = &k.fields[j]
			}
		}
	}
	var record event.Record
	var id []byte
	for row := range s.rows {
		kind := r.kindIDs.get(row)
		f := forms[kind]
		if f == nil || sources[kind] == "" {
			if _, err := r.Record(row, &record); err != nil {
				return err
			}
			open := record.Open()
			yield(open.Text("source"), []byte(open.Text("id")), r.seqs.get(row))
			continue
		}
		r.row = row
		if f.form == idTime {
			r.micros = r.times.get(row)
		}
		id = r.appendID(id[:0], f)
		yield(sources[kind], id, r.seqs.get(row))
	}
	return nil
}
