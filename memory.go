package custody

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/proof"
)

// memoryFile holds the newest checkpoint seen, exactly as the log signed it.
const memoryFile = "checkpoint"

// The directory of a memory is another process's for as long as one check
// takes.
const (
	lockRetry    = 10 * time.Millisecond // between two tries to take it
	lockPatience = 30 * time.Second
)

// A ForkError means that the log contradicts a checkpoint it signed earlier:
// it took records back, or shows different ones to different readers. Older
// and Newer are the evidence; they are signed by the log, and worth showing to
// its other readers. What the caller asked for is not to be trusted.
type ForkError struct {
	Older, Newer []byte // signed notes, by the size they state
	Cause        error  // what is wrong between them
}

func (e *ForkError) Error() string {
	return "the log contradicts what it signed before: " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *ForkError) Unwrap() error { return e.Cause }

// A memory is the newest checkpoint that was seen. Trust in it: who can change
// the file can at most make the client forget, or accuse the log; a checkpoint
// that the log did not sign is refused.
type memory struct {
	turn   chan struct{} // holds one token while somebody compares and replaces newest
	fs     disk.FS       // nil: forgotten when the process ends
	newest *head         // nil: none seen; owned by who has the turn
}

// A head is a verified checkpoint and the note it was read from.
type head struct {
	*proof.Checkpoint
	note []byte
}

func newMemory() memory { return memory{turn: make(chan struct{}, 1)} }

// remember checks that the checkpoint in note, which the policy accepted as c,
// agrees with the newest one seen, and takes its place if it is newer.
func (c *Client) remember(ctx context.Context, seen *proof.Checkpoint, note []byte) error {
	m := &c.memory
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	unlock, err := m.load(ctx, c.policy)
	if err != nil {
		return fmt.Errorf("remembered checkpoint: %w", err)
	}
	defer unlock()
	now := &head{seen, note}
	if m.newest == nil {
		return m.store(now)
	}
	if m.newest.Origin != now.Origin {
		return fmt.Errorf("the log is %s, and was %s before", now.Origin, m.newest.Origin)
	}
	older, newer := m.newest, now
	if older.N > newer.N {
		older, newer = newer, older // it may be slow to sign, or to be cosigned
	}
	if older == now && now.N == 0 {
		// Every log starts with the empty one, so no proof would be asked for.
		return &ForkError{Older: now.note, Newer: newer.note, Cause: fmt.Errorf("it had %d records, and has none", newer.N)}
	}
	if err := c.compare(ctx, older, newer); err != nil {
		return err
	}
	if newer == now && newer.N > older.N {
		return m.store(now)
	}
	return nil
}

// load takes the directory for this process and reads what another one may
// have left there since.
func (m *memory) load(ctx context.Context, policy *proof.Policy) (unlock func(), err error) {
	if m.fs == nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	var held io.Closer
	for {
		if held, err = disk.Lock(m.fs); err == nil {
			break
		}
		if !errors.Is(err, disk.ErrLocked) {
			return nil, err
		}
		if !sleep(ctx, lockRetry) {
			return nil, fmt.Errorf("%w, while %w", ctx.Err(), err)
		}
	}
	unlock = func() { _ = held.Close() } // only read and replaced; nothing is left unsaid
	note, err := disk.ReadFile(m.fs, memoryFile)
	if errors.Is(err, fs.ErrNotExist) {
		return unlock, nil
	}
	if err == nil && (m.newest == nil || !bytes.Equal(note, m.newest.note)) {
		var seen *proof.Checkpoint
		if seen, err = policy.Check(note); err == nil {
			m.newest = &head{seen, note}
		}
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// store makes h the newest.
func (m *memory) store(h *head) error {
	if m.fs != nil {
		if err := disk.ReplaceFile(m.fs, memoryFile, h.note); err != nil {
			return err
		}
	}
	m.newest = h
	return nil
}

// compare checks that the log of older is the start of the log of newer. It
// asks the log for the proof.
func (c *Client) compare(ctx context.Context, older, newer *head) error {
	accuse := func(cause error) error { return &ForkError{Older: older.note, Newer: newer.note, Cause: cause} }
	if older.N == newer.N {
		if older.Hash != newer.Hash {
			return accuse(fmt.Errorf("two different logs of size %d", older.N))
		}
		return nil
	}
	path, err := c.consistency(ctx, older.N, newer.N)
	if e := problem(err); e != nil && e.ours() && e.Status == http.StatusNotFound {
		// It signed both, so it can prove this, unless it threw records away.
		return accuse(fmt.Errorf("it cannot show that its size %d was the start of size %d: %w", older.N, newer.N, err))
	}
	if err != nil {
		return fmt.Errorf("consistency from size %d to %d: %w", older.N, newer.N, err)
	}
	if err := proof.CheckConsistency(older.Tree, newer.Tree, path); err != nil {
		return accuse(err)
	}
	return nil
}

// consistency returns the log's proof, unchecked.
func (c *Client) consistency(ctx context.Context, from, to int64) (tlog.TreeProof, error) {
	if from == 0 {
		return nil, nil
	}
	var answer struct {
		Proof []string `json:"proof"`
	}
	r := &request{method: http.MethodGet, path: fmt.Sprintf("/v1/consistency?from=%d&to=%d", from, to)}
	if err := c.ask(ctx, r, &answer); err != nil {
		return nil, err
	}
	if len(answer.Proof) > proof.MaxConsistencyHashes {
		return nil, fmt.Errorf("%w: a path of %d hashes", errNotALog, len(answer.Proof))
	}
	path := make(tlog.TreeProof, len(answer.Proof))
	for i, text := range answer.Proof {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != tlog.HashSize {
			return nil, fmt.Errorf("%w: hash %d of the path is malformed", errNotALog, i)
		}
		path[i] = tlog.Hash(raw)
	}
	return path, nil
}
