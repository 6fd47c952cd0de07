// Package retain decides how long records are kept, what keeps them longer, and
// what was taken from them for ever. It touches no record itself: whoever keeps
// records asks it, and tells it what was done.
//
//	Policies   how long each class of events, and what is personal in it, is kept
//	Holds      reasons to keep what a policy or an erasure would drop
//	Ledger     erasures: who asked, what was taken, and who stands in its place
//
// # Promises
//
//   - Every change is durable before it counts, and a power cut leaves the old
//     state or the new one.
//   - No policy lets what administrators and the log itself do go within
//     [MinTraces]: who breaks in cannot have the log forget it soon.
//   - A hold that cannot be read, or whose query cannot be understood any more,
//     stops the start: it is never dropped in silence.
//   - What an erasure takes from a record is in the ledger before it is taken.
//   - Whose data an erasure took is kept until the erasure is over, and no
//     longer; what stays of it says how many and which fields, and of whom not.
//   - The ledger suffices to take the same from an older copy of the records.
//
// # Files
//
//	retain/policies.json                  what was changed while running
//	retain/holds/ID.json                  one hold
//	retain/erasures/pending-ID.json       an erasure under way, and of whom
//	retain/erasures/ID.json               one that is over
//	retain/erasures/ID.bitmap             what it took, see taken.go
//
// Who can change these files can make the log forget sooner, keep longer, or
// show one pseudonym for another; no record proves otherwise than before.
package retain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
)

// version is that of the JSON files.
const version = 1

// A Config is what the configuration file says about retention. The comments
// are the documentation of its keys.
type Config struct {
	// Retention says for each class, for example user-auth, how long its events
	// are kept, and how long what is personal in them: 90d, 8w, 7y or forever.
	Retention Overrides `yaml:"retention"`

	// EvidenceHold is how long the events of a deleted account are held, so that
	// deleting it wipes no tracks. 90d unless said here; forever is until the
	// hold is lifted.
	EvidenceHold *Days `yaml:"evidence_hold"`
}

// Check reports the first value that makes no sense, by its key.
func (c *Config) Check() error {
	_, err := c.Retention.apply(defaults())
	return err
}

// A State is all that is kept here.
type State struct {
	Policies *Policies
	Holds    *Holds
	Ledger   *Ledger
}

// Open reads the state kept on fs.
func Open(fs disk.FS, c Config, parse Parse) (*State, error) {
	s := new(State)
	var err error
	if s.Policies, err = OpenPolicies(fs, c.Retention); err != nil {
		return nil, err
	}
	holds, err := fs.Sub("holds")
	if err != nil {
		return nil, fmt.Errorf("retain: %w", err)
	}
	evidence := Days(defaultEvidenceHold)
	if c.EvidenceHold != nil {
		evidence = *c.EvidenceHold
	}
	if s.Holds, err = OpenHolds(holds, parse, evidence); err != nil {
		return nil, err
	}
	erasures, err := fs.Sub("erasures")
	if err != nil {
		return nil, fmt.Errorf("retain: %w", err)
	}
	s.Ledger, err = OpenLedger(erasures)
	return s, err
}

// A Matcher is a parsed query.
type Matcher interface {
	// Match reports whether an event with these fields is one that is asked for.
	Match(fields event.Fields) bool
}

// Parse reads a query. Times like -7d are counted from now.
type Parse func(text string, now time.Time) (Matcher, error)

// ErrUnknown means that there is no class, hold or erasure of that name.
var ErrUnknown = errors.New("retain: no such class, hold or erasure")

// ErrFull means that there are as many holds or erasures as there can be.
var ErrFull = errors.New("retain: there are too many")

// An InvalidError says what is wrong with a wish; nothing was changed. Whoever
// wished may read the reason.
type InvalidError struct{ Reason string }

// Error implements error.
func (e *InvalidError) Error() string { return "retain: " + e.Reason }

func invalid(format string, args ...any) error {
	return &InvalidError{Reason: fmt.Sprintf(format, args...)}
}

// checkText refuses a text that no file should hold.
func checkText(what, text string, most int) error {
	switch {
	case len(text) > most:
		return invalid("%s has %d bytes, at most %d", what, len(text), most)
	case strings.ToValidUTF8(text, "") != text:
		return invalid("%s is not valid UTF-8", what)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }):
		return invalid("%s has control characters in it", what)
	}
	return nil
}

// isID reports whether id can be part of the name of a file.
func isID(id string) bool {
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return id != "" && len(id) <= 64 && id[0] != '-' && !strings.HasPrefix(id, pendingPrefix)
}

// maxStateBytes bounds one JSON file.
const maxStateBytes = 1 << 20

// readState reads a JSON file into v. If there is none the error is
// [fs.ErrNotExist].
func readState(from disk.FS, name string, v any) error {
	data, err := readBounded(from, name, maxStateBytes)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("retain: %s: %w", name, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("retain: %s: something follows its end", name)
	}
	return nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(from disk.FS, name string, limit int64) ([]byte, error) {
	file, err := from.OpenRead(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("retain: %w", err)
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, fmt.Errorf("retain: %s: %w", name, err)
	}
	if size > limit {
		return nil, fmt.Errorf("retain: %s has %d bytes, at most %d", name, size, limit)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, size), data); err != nil {
		return nil, fmt.Errorf("retain: %s: %w", name, err)
	}
	return data, nil
}

// writeState makes v the content of a JSON file, durably.
func writeState(to disk.FS, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("retain: %s: %w", name, err)
	}
	if err := disk.ReplaceFile(to, name, append(data, '\n')); err != nil {
		return fmt.Errorf("retain: %w", err)
	}
	return nil
}

// checkVersion refuses a file that another version wrote.
func checkVersion(name string, v int) error {
	if v != version {
		return fmt.Errorf("retain: %s has version %d, want %d; hint: another version of custody wrote it", name, v, version)
	}
	return nil
}

// filesOf returns the names of the files in a directory. What a power cut left
// half written is removed for good: it may say whose data were erased.
func filesOf(dir disk.FS) ([]string, error) {
	names, err := dir.List()
	if err != nil {
		return nil, fmt.Errorf("retain: %w", err)
	}
	whole := names[:0]
	for _, name := range names {
		if !strings.HasSuffix(name, ".tmp") {
			whole = append(whole, name)
			continue
		}
		if err := remove(dir, name); err != nil {
			return nil, err
		}
	}
	return whole, nil
}

// remove removes a file durably.
func remove(dir disk.FS, name string) error {
	if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("retain: remove %s: %w", name, err)
	}
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("retain: remove %s: %w", name, err)
	}
	return nil
}
