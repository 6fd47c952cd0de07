package segment

import (
	"bytes"

	"github.com/custody-log/custody/internal/disk"
)

// CheckPages reads every page of both files, from the disk and not from memory,
// and compares it with its checksum. The error of the first that does not have
// it is a [*DamageError].
func (s *Segment) CheckPages() error {
	for p := range s.parts {
		if q := s.parts[p].pages; q != nil {
			if err := q.checkAll(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pages) checkAll() (err error) {
	defer guard(p.name, &err)
	var memory []byte
	for i := range p.sums {
		memory = p.read(memory[:0], i)
	}
	return nil
}

// CheckFile does the same for one file, whichever part of a segment it is,
// without opening that.
func CheckFile(fs disk.FS, name string) (err error) {
	f, err := openFooter(fs, name, nil)
	if err != nil {
		return err
	}
	defer f.pages.close()
	return f.pages.checkAll()
}

// Exceptions returns how many rows have erased fields.
func (s *Segment) Exceptions() int { return s.exceptions.rows.n }

// Load takes all dictionaries into memory, for reading all rows, and checks that
// they are sorted. A reader that did that is not to be given back.
func (r *Reader) Load() error {
	for p := range r.parts {
		if err := r.load(part(p)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) load(p part) (err error) {
	defer guard(r.name(p), &err)
	for _, d := range r.parts[p].dicts {
		all := make([][]byte, d.n)
		var memory []byte
		for i := range all {
			value := d.at(i)
			if len(memory)+len(value) > cap(memory) {
				memory = make([]byte, 0, max(64<<10, len(value)))
			}
			start := len(memory)
			memory = append(memory, value...)
			all[i] = memory[start:]
			if i > 0 && bytes.Compare(all[i-1], all[i]) >= 0 {
				panic(damagef("value %d of a dictionary is not greater than the one before", i))
			}
		}
		d.all, d.last = all, -1
	}
	return nil
}
