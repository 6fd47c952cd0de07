package export

import (
	"fmt"
	"io/fs"
)

// load brings s to where the progress file says that it was.
func (s *Set) load() error {
	p, err := loadProgress(s.dir, s.progress(), s.format)
	if err != nil {
		return err
	}
	s.meta, s.cursor, s.files, s.last = p.Meta, p.Cursor, p.Files, p.Last
	if s.format == Parquet {
		return s.loadParts()
	}
	return s.loadLines(p)
}

// loadParts checks that the complete files are there and removes what was
// written after them.
func (s *Set) loadParts() error {
	for i := range s.files {
		f := &s.files[i]
		if err := f.check(); err != nil {
			return err
		}
		size, err := s.size(f.Name)
		if err != nil {
			return err
		}
		if size != f.Bytes {
			return fmt.Errorf("%s has %d bytes and had %d: it was changed; begin anew", f.Name, size, f.Bytes)
		}
	}
	// A power cut may have come after the next file got its name and before
	// progress said so.
	for _, name := range []string{s.current() + partial, s.current()} {
		there, err := s.dir.Exists(name)
		if err != nil {
			return err
		}
		if there {
			if err := s.dir.Remove(name); err != nil {
				return err
			}
		}
	}
	return s.dir.Sync()
}

// size returns the length of a file in bytes.
func (s *Set) size(name string) (int64, error) {
	file, err := s.dir.OpenRead(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.Size()
}

// loadLines opens the file that grows and cuts off what was written after the
// last mark.
func (s *Set) loadLines(p *progress) error {
	name := s.current()
	done, err := s.dir.Exists(name)
	if err != nil {
		return err
	}
	if done { // a power cut came before the manifest
		if err := s.dir.Rename(name, name+partial); err != nil {
			return err
		}
	}
	there, err := s.dir.Exists(name + partial)
	if err != nil {
		return err
	}
	if !there && p.Open.Bytes > 0 {
		return fmt.Errorf("%s: %w: begin anew", name+partial, fs.ErrNotExist)
	}
	if err := s.open(); err != nil {
		return err
	}
	size, err := s.out.Size()
	if err == nil && size < p.Open.Bytes {
		err = fmt.Errorf("%s has %d bytes and had %d: it was cut; begin anew", name+partial, size, p.Open.Bytes)
	}
	if err == nil {
		err = s.out.Truncate(p.Open.Bytes)
	}
	if err != nil {
		return err
	}
	return s.goOn(p)
}

// goOn makes the writer as it was at the last mark.
func (s *Set) goOn(p *progress) error {
	h, err := p.hash()
	if err != nil {
		return err
	}
	w := s.writer
	w.file, w.last = *p.Open, p.Last
	w.tally.hash, w.tally.bytes = h, p.Open.Bytes
	w.start()
	s.lastMark = *p.Open
	return nil
}
