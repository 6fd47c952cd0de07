// Package disk is the only door to the file system. Every other package takes
// an [FS], so that every test can hand it a disk that loses power ([Mem]).
//
// # Promises
//
//   - What was written before a [File.Sync] that returned nil survives a power
//     cut; so do the names that existed at an [FS.Sync] that returned nil.
//   - A name never leads out of its directory.
//   - [ReplaceFile] leaves the old content or the new one, never a mixture.
//   - One process at a time holds the [Lock] of a directory.
//
// # Layout
//
// An FS is a directory. It holds files and, through [FS.Sub], directories:
//
//	data/            disk.Dir("data")
//	├── lock         disk.Lock(fs)
//	├── journal/     fs.Sub("journal")
//	│   └── 00000000000000000000.journal
//	└── tree/        fs.Sub("tree")
package disk

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
)

// maxNameBytes is what common file systems allow for one name.
const maxNameBytes = 255

// tempSuffix marks a file that [ReplaceFile] has not finished. A power cut may
// leave one; the next ReplaceFile of the same name overwrites it.
const tempSuffix = ".tmp"

// An FS is a directory of files. Names are single path elements: a separator,
// a dot alone or an empty name is an error. Methods may be called concurrently.
type FS interface {
	// Open opens the named file for reading and appending, creating it empty
	// if it does not exist. A new name is durable only after Sync.
	Open(name string) (File, error)

	// OpenRead opens the named file for reading. If there is none the error
	// is [io/fs.ErrNotExist].
	OpenRead(name string) (Reader, error)

	// Exists reports whether there is a file of that name.
	Exists(name string) (bool, error)

	// List returns the names of all files, sorted, without directories.
	List() ([]string, error)

	// Remove deletes the named file. It is gone for good only after Sync.
	Remove(name string) error

	// Rename gives the file from the name to, replacing any file of that
	// name. After a power cut before Sync, to is the old file or the new one.
	Rename(from, to string) error

	// Sub returns the named directory, creating it durably if needed.
	Sub(name string) (FS, error)

	// Sync makes the names in this directory durable: created, removed and
	// renamed files.
	Sync() error
}

// A Reader is a file open for reading.
type Reader interface {
	io.ReaderAt
	io.Closer

	// Size returns the file's length in bytes.
	Size() (int64, error)
}

// A Mapper is a [Reader] whose file can be mapped into memory. Not all can: those
// of an encrypted directory, for instance.
type Mapper interface {
	// Map returns the file as it is, and as it becomes: it must not be cut.
	Map() (Mapping, error)
}

// A Mapping is a file in memory, to be read only. Reading what the disk does not
// give is a fault, see [runtime/debug.SetPanicOnFault].
type Mapping interface {
	io.Closer

	// Bytes returns the file. They must not be used after Close.
	Bytes() []byte

	// Release lets the system take the memory back; the bytes stay, and are
	// brought back when they are used.
	Release()
}

// A File is a file open for reading and appending: Write appends. A Write that
// fails may have appended some of its bytes.
type File interface {
	Reader
	io.Writer

	// Truncate cuts the file to size bytes. The cut is durable after Sync.
	Truncate(size int64) error

	// Sync makes the content durable. After an error nothing is known about
	// what the disk holds, and a second Sync may return nil without having
	// written anything: the caller must stop using the file.
	Sync() error
}

// IsFull reports whether err says that the disk has no room.
func IsFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }

// ReplaceFile makes data the content of the named file, durably: readers and
// power cuts find the old content or the new one. Calls for the same name must
// not overlap.
func ReplaceFile(fs FS, name string, data []byte) error {
	temp := name + tempSuffix
	if err := writeWhole(fs, temp, data); err != nil {
		return fmt.Errorf("disk: replace %s: %w", name, err)
	}
	if err := fs.Rename(temp, name); err != nil {
		return fmt.Errorf("disk: replace %s: %w", name, err)
	}
	if err := fs.Sync(); err != nil {
		return fmt.Errorf("disk: replace %s: %w", name, err)
	}
	return nil
}

// writeWhole makes data the synced content of the named file.
func writeWhole(fs FS, name string, data []byte) (err error) {
	file, err := fs.Open(name)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := file.Close(); err == nil {
			err = cerr
		}
	}()
	if err := file.Truncate(0); err != nil { // left over from a power cut
		return err
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}

// ReadFile returns the content of the named file. If there is none the error
// is [io/fs.ErrNotExist].
func ReadFile(fs FS, name string) ([]byte, error) {
	file, err := fs.OpenRead(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, size), data); err != nil {
		return nil, fmt.Errorf("disk: read %s: %w", name, err)
	}
	return data, nil
}

// checkName refuses what is not a single path element.
func checkName(name string) error {
	switch {
	case name == "", name == ".", name == "..", len(name) > maxNameBytes, strings.ContainsAny(name, "/\\\x00"):
		return fmt.Errorf("disk: name %q: want one path element of 1 to %d bytes", name, maxNameBytes)
	}
	return nil
}
