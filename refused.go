package custody

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/custody-log/custody/internal/disk"
)

// refusedFile holds the events that the log will never take, a line of JSON
// each, see [Refused]. It is for people: a program that corrected them records
// them anew. Remove it while the buffer is closed.
const refusedFile = "refused.ndjson"

// maxRefusedBytes bounds refusedFile. When it is full nothing more is sent:
// what was acknowledged to the program must not vanish.
const maxRefusedBytes = 64 << 20 // 64 MiB

// ErrRefusedFull ends [Buffer.Run] when there is no room to set aside another
// event that the log refuses. Look at the file refused.ndjson, and move it.
var ErrRefusedFull = errors.New("the log refuses events, and the file for them, refused.ndjson, is full")

// A Refused is an event that the log will never take, and why.
type Refused struct {
	At     time.Time       `json:"at"`
	Status int             `json:"status"`
	Type   string          `json:"type,omitempty"`
	Reason string          `json:"reason"`
	Path   string          `json:"path,omitempty"` // the member that is wrong
	Event  json.RawMessage `json:"event"`          // as it was sent
}

// setAside makes durable that the log will not take f.
func (b *Buffer) setAside(f *outgoing, e *Error) error {
	r := Refused{At: time.Now().UTC(), Status: e.Status, Type: e.Type, Reason: e.Error(), Path: e.Path, Event: bytes.Clone(f.data)}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	if err := appendSynced(b.dir, append(line, '\n')); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	f.aside = true
	b.mu.Lock()
	b.refused++
	b.mu.Unlock()
	if b.onRefused != nil {
		b.onRefused(r)
	}
	return nil
}

// appendSynced appends line to the file of refused events, durably.
func appendSynced(dir disk.FS, line []byte) (err error) {
	file, err := dir.Open(refusedFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := file.Size()
	if err != nil {
		return err
	}
	if size+int64(len(line)) > maxRefusedBytes {
		return ErrRefusedFull
	}
	if _, err := file.Write(line); err != nil {
		return errors.Join(err, file.Truncate(size))
	}
	return errors.Join(file.Sync(), dir.Sync())
}

// countRefused returns how many events are set aside. A line that a crash tore
// is cut off: its event was not done with, and will be refused again.
func countRefused(dir disk.FS) (int64, error) {
	data, err := disk.ReadFile(dir, refusedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if end := bytes.LastIndexByte(data, '\n') + 1; end < len(data) {
		return int64(bytes.Count(data, []byte("\n"))), cutRefused(dir, int64(end))
	}
	return int64(bytes.Count(data, []byte("\n"))), nil
}

func cutRefused(dir disk.FS, size int64) error {
	file, err := dir.Open(refusedFile)
	if err != nil {
		return err
	}
	err = file.Truncate(size)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
