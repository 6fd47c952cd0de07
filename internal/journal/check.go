package journal

import (
	"context"
	"fmt"

	"github.com/custody-log/custody/internal/disk"
)

// Check reads every byte of the journal in fs, changing none, and returns how
// many records it holds. It does not look at files below what is wanted which
// are not whole, and does not count them. If any byte is not what was written the error is a
// [*CorruptError], also where no record is affected. So it is about the files
// of a service that does not run: one that does, or was killed, may have a
// group at the end that is not whole.
func Check(ctx context.Context, fs disk.FS, options ...Option) (Seq, error) {
	f, err := ReadFiles(fs, options...)
	if err != nil {
		return 0, err
	}
	for _, o := range f.older {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		content, err := f.readContent(o.base, o.end)
		if err != nil {
			return 0, err
		}
		if content.damage != nil {
			return 0, content.damage
		}
	}
	return f.tail.next - f.First(), f.checkTailEnd()
}

// checkTailEnd checks that nothing follows the last group.
func (f *Files) checkTailEnd() error {
	name := fileName(f.tail.base)
	file, err := f.fs.OpenRead(name)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return fmt.Errorf("journal: size of %s: %w", name, err)
	}
	if size != f.tail.end {
		return &CorruptError{
			File: name, Offset: f.tail.end, Seq: f.tail.next,
			Reason: fmt.Sprintf("%d bytes that are no group: damaged, or torn by a power cut", size-f.tail.end),
		}
	}
	return nil
}
