package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// recover finds what is stored and makes it safe to append. What a power cut
// may have left:
//
//	no file, or only one without a group,
//	and nothing was ever dropped          → a new journal
//	the last group torn                   → that group is cut off
//	a rotation that was not finished: the
//	last file is empty and the one before
//	does not say that there is another    → the empty file is removed
//	files whose records were all taken
//	over, as Drop did not come to them    → they stay
//
// Whatever else is wrong did not come from a power cut; then nothing is
// changed and the error is a [*CorruptError].
func (f *Files) recover() error {
	bases, err := f.list()
	if err != nil {
		return err
	}
	if err := f.checkOldest(bases); err != nil {
		return err
	}
	whole, unfinished, err := f.checkChain(bases)
	if err != nil {
		return err
	}
	last := len(bases) - 1
	if unfinished {
		last--
	}
	for i := range last {
		s := span{base: bases[i], end: bases[i+1]}
		if i < whole {
			f.remains = append(f.remains, s)
		} else {
			f.older = append(f.older, &olderFile{span: s})
		}
	}
	if err := f.scanLast(bases[:last+1]); err != nil {
		return err
	}
	switch {
	case unfinished && f.tail.next != bases[last+1]:
		return f.corruptEnd(fmt.Sprintf("the next file begins with record %d", bases[last+1]))
	case f.tail.next < f.wanted:
		return f.corruptEnd(fmt.Sprintf("the journal ends here, it held the records before %d", f.wanted))
	}
	if f.readOnly {
		f.failed = fmt.Errorf("%w: opened for reading only", ErrStopped)
		return nil
	}
	if unfinished {
		if err := f.fs.Remove(fileName(bases[last+1])); err != nil {
			return fmt.Errorf("journal: remove %s: %w", fileName(bases[last+1]), err)
		}
	}
	return f.startTail()
}

// corruptEnd says that the last file should not end where it does.
func (f *Files) corruptEnd(reason string) *CorruptError {
	return &CorruptError{File: fileName(f.tail.base), Offset: f.tail.end, Seq: f.tail.next, Reason: reason}
}

// checkOldest checks that the first file is not younger than what is wanted. A
// journal from which files were dropped always has its last one.
func (f *Files) checkOldest(bases []Seq) error {
	switch {
	case f.wanted == 0 && (len(bases) == 0 || bases[0] == 0):
		return nil
	case f.wanted == 0:
		return missing(0)
	case len(bases) == 0:
		return &CorruptError{
			File: fileName(f.wanted), Seq: f.wanted,
			Reason: "the journal is missing: no file is here, and the last one is never dropped",
		}
	case bases[0] > f.wanted:
		return &CorruptError{
			File: fileName(bases[0]), Seq: f.wanted,
			Reason: fmt.Sprintf("the file before it is missing, which held record %d", f.wanted),
		}
	}
	return nil
}

// missing says that the file of base is not there.
func missing(base Seq) *CorruptError {
	return &CorruptError{File: fileName(base), Seq: base, Reason: "the file is missing"}
}

// list returns the first records of all files, sorted.
func (f *Files) list() ([]Seq, error) {
	names, err := f.fs.List()
	if err != nil {
		return nil, fmt.Errorf("journal: list files: %w", err)
	}
	var bases []Seq
	for _, name := range names {
		if base, ok := parseFileName(name); ok {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	if f.readOnly && f.wanted == 0 && len(bases) == 0 {
		return nil, fmt.Errorf("journal: no files here: %w", fs.ErrNotExist)
	}
	return bases, nil
}

// checkChain checks that each file but the last ends where the next begins.
// The content between is checked when it is read. From bases[whole] on they do;
// before that no record is wanted. It reports whether the last file comes from
// a rotation that was not finished.
func (f *Files) checkChain(bases []Seq) (whole int, unfinished bool, err error) {
	for i := range len(bases) - 1 {
		err := f.checkEnd(bases[i], bases[i+1])
		var corrupt *CorruptError
		if err != nil && !errors.As(err, &corrupt) {
			return 0, false, err
		}
		if i == len(bases)-2 && corrupt != nil {
			bare, err := f.isBare(bases[i+1])
			if bare || err != nil {
				return whole, bare, err
			}
		}
		switch {
		case corrupt == nil:
		case bases[i+1] <= f.wanted:
			whole = i + 1
		default:
			return 0, false, corrupt
		}
	}
	return whole, false, nil
}

// checkEnd checks the two ends of the file of base: its header, and the group
// that says that the journal goes on with record next in another file.
func (f *Files) checkEnd(base, next Seq) error {
	file, err := f.fs.OpenRead(fileName(base))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer file.Close()
	m, size, err := readFileHeader(file, base)
	if err != nil {
		return err
	}
	end := make([]byte, min(groupHeaderBytes, size-fileHeaderBytes))
	if n, err := file.ReadAt(end, size-int64(len(end))); n < len(end) {
		return fmt.Errorf("journal: read %s: %w", fileName(base), err)
	}
	h, ok := parseGroupHeader(end, m)
	switch {
	case ok && h.kind == kindEnd && h.first == next:
		return nil
	case ok && h.kind == kindEnd:
		return missing(h.first)
	}
	content, err := f.readContent(base, next)
	if err != nil {
		return err
	}
	if content.bad == nil {
		return fmt.Errorf("journal: %s changes while it is read", fileName(base))
	}
	return content.bad
}

// isBare reports whether the file of base is too short to hold a group.
func (f *Files) isBare(base Seq) (bool, error) {
	file, err := f.fs.OpenRead(fileName(base))
	if err != nil {
		return false, fmt.Errorf("journal: %w", err)
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return false, fmt.Errorf("journal: size of %s: %w", fileName(base), err)
	}
	return size <= fileHeaderBytes, nil
}

// scanLast sets tail to what is intact in the last file. Without one, or when
// a power cut left only the beginning of one, tail.end is 0.
func (f *Files) scanLast(bases []Seq) error {
	f.tail = tail{}
	if len(bases) == 0 {
		return nil
	}
	base := bases[len(bases)-1]
	err := f.scanTail(base)
	var corrupt *CorruptError
	if len(bases) > 1 || !errors.As(err, &corrupt) {
		return err
	}
	// The header is durable before the first group is written, so a file
	// of one header at most never held a record. A later file of which only
	// the beginning is there would follow another one.
	bare, berr := f.isBare(base)
	if bare && base == 0 && f.wanted == 0 {
		return nil
	}
	return errors.Join(berr, err)
}

// scanTail reads the file of base to its end and sets tail. A torn group at
// the end is left out.
func (f *Files) scanTail(base Seq) error {
	file, err := f.fs.OpenRead(fileName(base))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer file.Close()
	s, err := newScan(file, base)
	if err != nil {
		return err
	}
	f.tail = tail{base: base, next: base, end: fileHeaderBytes, mark: s.mark}
	for {
		ended := s.last == kindEnd
		g, err := s.step()
		if errors.Is(err, io.EOF) {
			if ended {
				return missing(f.tail.next)
			}
			return nil
		}
		var damage *CorruptError
		if err != nil && !errors.As(err, &damage) {
			return err
		}
		if damage == nil {
			damage = g.bad
		}
		if damage != nil {
			if ended {
				return damage
			}
			return f.checkTorn(s, damage)
		}
		f.tail.index.grow(g.first, g.off, g.count, g.ends)
		f.tail.next, f.tail.end = s.next, s.off
	}
}

// checkTorn returns nil if a power cut can have left damage after tail:
// nothing was written after it.
func (f *Files) checkTorn(s *scan, damage *CorruptError) error {
	h, at, found, err := s.laterGroup(f.tail.end)
	if err != nil {
		return err
	}
	if found {
		damage.Reason += fmt.Sprintf("; a group at record %d follows at offset %d", h.first, at)
		return damage
	}
	return nil
}

// startTail opens the last file for appending, cuts off what is not in tail,
// and seals it.
func (f *Files) startTail() error {
	var err error
	if f.tail.end == 0 {
		f.file, f.tail.mark, err = f.create(f.tail.base)
		f.tail.end = fileHeaderBytes
	} else {
		f.file, err = f.fs.Open(fileName(f.tail.base))
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	size, err := f.file.Size()
	if err == nil && size > f.tail.end {
		err = f.file.Truncate(f.tail.end) // synced with the seal
	}
	if err != nil {
		return fmt.Errorf("journal: cut %s: %w", fileName(f.tail.base), err)
	}
	// A process that died between write and sync leaves what can be read and
	// yet be lost, in the last file and at the end of the one before: nobody
	// may see it before it is synced, and nothing may be built on it.
	if n := len(f.older); n > 0 {
		if err := f.syncFile(f.older[n-1].base); err != nil {
			return fmt.Errorf("journal: sync %s: %w", fileName(f.older[n-1].base), err)
		}
	}
	if err := f.fs.Sync(); err != nil {
		return fmt.Errorf("journal: sync directory: %w", err)
	}
	f.frames.reset()
	if err := f.write(&f.frames, kindSeal); err != nil {
		return fmt.Errorf("journal: open: %w", err)
	}
	return nil
}

// syncFile makes durable what the file of base holds.
func (f *Files) syncFile(base Seq) error {
	file, err := f.fs.Open(fileName(base))
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
