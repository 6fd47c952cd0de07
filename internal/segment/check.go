package segment

import "github.com/custody-log/custody/internal/disk"

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
