package disk

import "syscall"

// madvise lets the system take pages out of the process. They are files' pages,
// and come back when they are used.
func madvise(memory []byte) error { return syscall.Madvise(memory, syscall.MADV_DONTNEED) }
