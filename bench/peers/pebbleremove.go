package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// purge reads each event that goes, to find its keys in the other indexes.
func (s *pebbleStore) purge(_ context.Context, c *class, cut time.Time) (int, error) {
	var gone []int64
	for _, tag := range c.Tags {
		for _, outcome := range []string{"success", "failure", "denied", "unknown"} {
			begin, _ := indexRange(indexTag, tag+separator+outcome, 0)
			end, _ := indexRange(indexTag, tag+separator+outcome, cut.UnixMicro())
			if err := s.backwards(begin, end, func(key, _ []byte) (bool, error) {
				gone = append(gone, numberInKey(key))
				return true, nil
			}); err != nil {
				return 0, err
			}
		}
	}
	for some := range slices.Chunk(gone, batchEvents) {
		if err := s.change(some, func(*pebble.Batch, *pebbleKeys, *entry) error { return nil }); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}

// change takes events out and lets do put something in their place.
func (s *pebbleStore) change(numbers []int64, do func(*pebble.Batch, *pebbleKeys, *entry) error) error {
	changes := s.db.NewBatch()
	defer changes.Close()
	r := new(reader)
	keys := new(pebbleKeys)
	for _, number := range numbers {
		body, done, err := s.db.Get(eventKey(number))
		if err != nil {
			return err
		}
		e, err := r.read(number, body)
		if err := errors.Join(err, done.Close()); err != nil {
			return err
		}
		if err := changes.Delete(eventKey(number), nil); err != nil {
			return err
		}
		if err := keys.each(e, s.words, func(key, _ []byte) error { return changes.Delete(key, nil) }); err != nil {
			return err
		}
		if err := do(changes, keys, e); err != nil {
			return err
		}
	}
	return changes.Commit(pebble.Sync)
}

// A bare event is what is left of one when its user was erased.
type bare struct {
	ID         string          `json:"id"`
	Tag        string          `json:"tag"`
	Time       time.Time       `json:"time"`
	Outcome    string          `json:"outcome"`
	User       string          `json:"user_id,omitempty"`
	UserName   string          `json:"user_name,omitempty"`
	Project    string          `json:"project,omitempty"`
	Org        string          `json:"org,omitempty"`
	Token      string          `json:"token,omitempty"`
	Additional json.RawMessage `json:"additional"`
}

func (s *pebbleStore) erase(_ context.Context, user string) (int, error) {
	var numbers []int64
	begin, end := indexRange(indexUser, user, 0)
	if err := s.backwards(begin, end, func(key, _ []byte) (bool, error) {
		numbers = append(numbers, numberInKey(key))
		return true, nil
	}); err != nil {
		return 0, err
	}
	return len(numbers), s.change(numbers, func(changes *pebble.Batch, keys *pebbleKeys, e *entry) error {
		e.forget(user)
		body, err := json.Marshal(bare{
			e.id, e.tag, time.UnixMicro(e.micros).UTC(), e.outcome, e.user, e.userName, e.project, e.org, e.token, e.rest,
		})
		if err != nil {
			return err
		}
		e.readText()
		return s.put(changes, keys, e, body)
	})
}
