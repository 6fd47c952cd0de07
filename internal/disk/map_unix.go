//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package disk

import (
	"errors"
	"os"
	"syscall"
)

// Map implements [Mapper].
func (f osFile) Map() (Mapping, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size <= 0 || int64(int(size)) != size {
		return nil, errors.New("disk: a file of that size cannot be mapped")
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var memory []byte
	var failed error
	err = conn.Control(func(fd uintptr) {
		memory, failed = syscall.Mmap(int(fd), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	})
	if err = errors.Join(err, os.NewSyscallError("mmap", failed)); err != nil {
		return nil, err
	}
	return mapping(memory), nil
}

type mapping []byte

func (m mapping) Bytes() []byte { return m }

func (m mapping) Release() {
	_ = madvise(m) // advice; what is not taken costs memory only
}

func (m mapping) Close() error { return os.NewSyscallError("munmap", syscall.Munmap(m)) }
