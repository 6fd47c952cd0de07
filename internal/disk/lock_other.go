//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package disk

import (
	"errors"
	"io"
)

// lock is refused where a lock would not end with its process.
func (*dir) lock() (io.Closer, error) { return nil, errors.ErrUnsupported }
