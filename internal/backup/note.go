package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/disk"
)

// noteName is the file in a data directory by which its first start learns that
// it was restored, to have that in the log.
const noteName = "restored.json"

// A Note says what a data directory was restored from.
type Note struct {
	Created time.Time  `json:"created"` // the backup
	Size    int64      `json:"size"`    // records that were signed over then; -1 if that is not known
	Root    *tlog.Hash `json:"root,omitempty"`
	Lost    int64      `json:"lost"` // how many more were signed over later, as far as is known
}

// Leave leaves the note in a data directory.
func (n *Note) Leave(data disk.FS) error {
	text, err := json.Marshal(n)
	if err == nil {
		err = disk.ReplaceFile(data, noteName, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// ReadNote returns the note in a data directory, or nil if there is none.
func ReadNote(data disk.FS) (*Note, error) {
	text, err := disk.ReadFile(data, noteName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	n := new(Note)
	if err == nil {
		err = json.Unmarshal(text, n)
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %s: %w", noteName, err)
	}
	return n, nil
}

// RemoveNote removes the note.
func RemoveNote(data disk.FS) error {
	if err := data.Remove(noteName); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return data.Sync()
}

// SignedSize returns how many records the checkpoint in a data directory covers,
// 0 if there is none that can be read.
func SignedSize(data disk.FS) int64 {
	dir, err := data.Sub(treeDir)
	if err != nil {
		return 0
	}
	msg, err := disk.ReadFile(dir, checkpointName)
	if err != nil {
		return 0
	}
	_, head, err := parseHead(msg)
	if err != nil {
		return 0
	}
	return head.N
}
