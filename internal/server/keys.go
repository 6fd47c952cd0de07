package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
)

// A newKey is an API key that this start made.
type newKey struct {
	auth.Key
	text string
}

// DefaultOrigin returns a name for a log that nobody has named.
func DefaultOrigin() string {
	var b [4]byte
	rand.Read(b[:])
	return "custody.local/log-" + hex.EncodeToString(b[:])
}

// openKeys opens the keys that sign and those that let in, and makes what is
// missing.
func (s *Server) openKeys(context.Context) (err error) {
	if s.keys, err = auth.Open(s.cfg.Data); err != nil {
		return err
	}
	if s.keyDir, err = s.cfg.Data.Sub("signing"); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if s.signing, err = tree.LoadKeys(s.keyDir); errors.Is(err, fs.ErrNotExist) {
		err = s.createSigningKey()
	}
	return err
}

// openFirstKey makes an administrator's key if there is none. It comes last: a
// key that nobody was shown, because the start failed, would lock everybody out.
func (s *Server) openFirstKey(context.Context) error {
	if !s.keys.Empty() {
		return nil
	}
	key, text, err := s.keys.Create("first administrator", "admin", []string{auth.Admin})
	s.firstKey = &newKey{key, text}
	return err
}

// createSigningKey makes the key of a new log. It refuses when there are
// records already: they were signed with a key that is gone, and a new log's
// key would hide that.
func (s *Server) createSigningKey() (err error) {
	dir, err := s.cfg.Data.Sub("journal")
	if err != nil {
		return err
	}
	names, err := dir.List()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return errors.New("server: signing/log.keys is missing, but there are records: restore the file from a backup; " +
			"without it nobody can tell that this is the same log")
	}
	if s.signing, err = tree.GenerateKeys(s.cfg.Origin); err != nil {
		return err
	}
	return s.signing.Save(s.keyDir)
}

// greet records what this start did: a new log, a new key; and that the log was
// restored.
func (s *Server) greet(ctx context.Context, records journal.Seq) error {
	var events []*event.Event
	if records == 0 {
		vkey := s.signing.Verifiers()[0]
		events = append(events, &event.Event{
			Tag:      "audit:log:create",
			Actor:    event.Party{Type: "system", ID: intake.OwnSource},
			Subjects: []event.Subject{{Type: "log", ID: s.signing.Origin(), Name: s.signing.Origin()}},
			Metadata: map[string]any{"origin": s.signing.Origin(), "public_key": vkey},
		})
	}
	if k := s.firstKey; k != nil {
		events = append(events, &event.Event{
			Tag:      "audit:api_key:create",
			Actor:    event.Party{Type: "system", ID: intake.OwnSource},
			Subjects: []event.Subject{{Type: "key", ID: k.ID, Name: k.Name}},
			Metadata: map[string]any{"key_id": k.ID, "name": k.Name, "source": k.Source, "scopes": k.Scopes, "reads": k.Reads},
		})
	}
	note, err := backup.ReadNote(s.cfg.Data)
	if err != nil {
		return err
	}
	if note != nil {
		events = append(events, restored(note))
	}
	if len(events) == 0 {
		return nil
	}
	if _, err := s.desk.RecordAll(ctx, intake.OwnSource, events...); err != nil || note == nil {
		return err
	}
	return backup.RemoveNote(s.cfg.Data)
}

// restored returns the event that the log was restored.
func restored(n *backup.Note) *event.Event {
	e := &event.Event{
		Tag:      "audit:backup:restore",
		Actor:    event.Party{Type: "system", ID: intake.OwnSource},
		Metadata: map[string]any{"backup_created": n.Created.Format(time.RFC3339)},
	}
	if n.Size >= 0 {
		e.Metadata["size"] = n.Size
	}
	if n.Root != nil {
		e.Metadata["root"] = n.Root.String()
	}
	if n.Lost > 0 {
		e.Metadata["gap"] = n.Lost
	}
	return e
}
