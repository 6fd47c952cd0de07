package disk

import (
	"errors"
	"os"
	"syscall"
)

// datasync makes the content of f durable, and what is needed to find it.
func datasync(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		failed = syscall.Fdatasync(int(fd))
		for errors.Is(failed, syscall.EINTR) { // not a failed sync: nothing was tried yet
			failed = syscall.Fdatasync(int(fd))
		}
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("fdatasync", failed)
}
