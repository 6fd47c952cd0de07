package main

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// A pebbleStore is a Pebble database in this process. See pebblekeys.go for what
// is in it.
type pebbleStore struct {
	db    *pebble.DB
	home  string
	words bool // there is a key for each word
}

const pebbleMemtable = 64 << 20 // bytes

func pebbleWith(words bool) func(context.Context, *env) (peer, error) {
	return func(_ context.Context, e *env) (peer, error) {
		cache := pebble.NewCache(int64(e.options.Memory) << 20)
		defer cache.Unref() // the database holds it
		options := &pebble.Options{
			Cache: cache, MemTableSize: pebbleMemtable, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest,
		}
		options.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionGood })
		for i := range options.Levels {
			options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		}
		db, err := pebble.Open(e.home, options)
		if err != nil {
			return nil, err
		}
		return &pebbleStore{db: db, home: e.home, words: words}, nil
	}
}

// quiet is a logger that says nothing but what ends the process.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

func (quiet) Fatalf(format string, args ...any) { pebble.DefaultLogger.Fatalf(format, args...) }

func (s *pebbleStore) processes() []int { return nil }

func (s *pebbleStore) write(_ context.Context, b *batch) error {
	changes := s.db.NewBatch()
	defer changes.Close()
	r := new(reader)
	keys := new(pebbleKeys)
	err := b.each(func(number int64, data []byte) error {
		e, err := r.read(number, data)
		if err != nil {
			return err
		}
		return s.put(changes, keys, e, data)
	})
	if err != nil {
		return err
	}
	return changes.Commit(pebble.Sync)
}

// put adds an event and its index to a batch.
func (s *pebbleStore) put(changes *pebble.Batch, keys *pebbleKeys, e *entry, body []byte) error {
	if err := changes.Set(eventKey(e.number), body, nil); err != nil {
		return err
	}
	return keys.each(e, s.words, func(key, value []byte) error { return changes.Set(key, value, nil) })
}

// settle waits until everything is where it is to stay.
func (s *pebbleStore) settle(ctx context.Context) error {
	if err := s.db.Flush(); err != nil {
		return err
	}
	return s.reclaim(ctx)
}

// size leaves aside the log of what was written, whose files are used again.
func (s *pebbleStore) size(context.Context) (int64, error) {
	return sizeOf(s.home, ".sst", ".blob")
}

func (s *pebbleStore) reclaim(ctx context.Context) error {
	return s.db.Compact(ctx, []byte{0}, []byte{0xff}, true)
}

func (s *pebbleStore) ask(_ context.Context, q *question) (func() (*answer, error), error) {
	a := new(answer)
	var err error
	switch q.Topic {
	case projectNewest:
		a.numbers, err = s.newest(q, indexProject)
	case userNewest:
		a.numbers, err = s.newest(q, indexUser) // of both kinds of users
	case ofAddress:
		a.numbers, err = s.newest(q, indexAddress)
	case ofToken:
		a.numbers, err = s.newest(q, indexToken)
	case wordNewest:
		if s.words {
			a.numbers, err = s.newest(q, indexWord)
		} else {
			a.numbers, err = s.scan(q, func(text string) bool {
				found := false
				eachWord(text, func(word string) { found = found || word == q.Value })
				return found
			})
		}
	case partNewest:
		a.numbers, err = s.scan(q, func(text string) bool { return strings.Contains(strings.ToLower(text), q.Value) })
	case tagCount:
		a, err = s.count(q)
	}
	return func() (*answer, error) { return a, nil }, err
}

// newest looks a value up in an index and reads the events it leads to.
func (s *pebbleStore) newest(q *question, index byte) ([]int64, error) {
	var list []int64
	begin, end := indexRange(index, q.Value, q.After)
	err := s.backwards(begin, end, func(key, _ []byte) (bool, error) {
		number := numberInKey(key)
		body, done, err := s.db.Get(eventKey(number))
		if err != nil {
			return false, err
		}
		_ = bytes.Clone(body) // as whoever asked would get it
		list = append(list, number)
		return q.Topic.limit() == 0 || len(list) < q.Topic.limit(), done.Close()
	})
	return list, err
}

// backwards calls do with each key from end down to begin and its value, until
// do returns false.
func (s *pebbleStore) backwards(begin, end []byte, do func(key, value []byte) (more bool, err error)) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: begin, UpperBound: end})
	if err != nil {
		return err
	}
	for ok := it.Last(); ok; ok = it.Prev() {
		value, err := it.ValueAndErr()
		more := false
		if err == nil {
			more, err = do(it.Key(), value)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if !more {
			break
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// scan reads events, newest first, and keeps those whose text matches. It takes
// the order of numbers for that of times.
func (s *pebbleStore) scan(q *question, matches func(text string) bool) ([]int64, error) {
	var list []int64
	r := new(reader)
	err := s.backwards(eventKey(0), eventKey(-1), func(key, body []byte) (bool, error) {
		number := numberInKey(key)
		e, err := r.read(number, body)
		if err != nil {
			return false, err
		}
		if matches(e.text()) {
			list = append(list, number)
		}
		return len(list) < q.Topic.limit(), nil
	})
	return list, err
}

// count answers a question of topic tagCount from the index alone.
func (s *pebbleStore) count(q *question) (*answer, error) {
	days := make(map[int64]int64)
	projects := make(map[string]int64)
	a := &answer{days: make(map[string]int64)}
	begin, end := indexRange(indexTag, q.Value+separator+q.Outcome, q.After)
	err := s.backwards(begin, end, func(key, project []byte) (bool, error) {
		a.count++
		days[microsInKey(key)/oneDay.Microseconds()]++
		if len(project) > 0 {
			projects[string(project)]++
		}
		return true, nil
	})
	for day, n := range days {
		a.days[time.Unix(day*int64(oneDay.Seconds()), 0).UTC().Format(time.DateOnly)] = n
	}
	for _, name := range slices.Collect(maps.Keys(projects)) {
		a.top = append(a.top, facet{name, projects[name]})
	}
	slices.SortFunc(a.top, func(a, b facet) int { return int(b.Count - a.Count) })
	a.top = a.top[:min(len(a.top), topProjects)]
	return a, err
}

func (s *pebbleStore) export(_ context.Context, each func(line []byte) error) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: eventKey(0), UpperBound: eventKey(-1)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		body, err := it.ValueAndErr()
		if err == nil {
			err = each(body)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}

func (s *pebbleStore) close() error { return s.db.Close() }
