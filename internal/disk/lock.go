package disk

import (
	"errors"
	"fmt"
	"io"
)

// lockName is the file whose lock stands for the directory. It stays when the
// lock is released: removing it would let two processes lock two files.
const lockName = "lock"

// ErrLocked is returned by [Lock] when another process holds the directory.
// The caller should say so and end.
var ErrLocked = errors.New("another process holds it")

// Lock takes the directory for this process until the result is closed or the
// process ends, however it ends. It does not wait: if the directory is taken,
// the error is [ErrLocked].
func Lock(fs FS) (io.Closer, error) {
	l, ok := fs.(interface {
		lock() (io.Closer, error)
	})
	if !ok {
		return nil, fmt.Errorf("disk: lock %T: %w", fs, errors.ErrUnsupported)
	}
	held, err := l.lock()
	if err != nil {
		return nil, fmt.Errorf("disk: lock the data directory: %w", err)
	}
	return held, nil
}
