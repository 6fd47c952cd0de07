package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // the driver
)

// A sqlite is a SQLite database in this process.
type sqlite struct {
	db    *sql.DB
	home  string
	parts bool // there is an index of trigrams

	writing sync.Mutex // SQLite has one writer
}

func sqliteWith(parts bool) func(context.Context, *env) (peer, error) {
	return func(ctx context.Context, e *env) (peer, error) {
		file := filepath.Join(e.home, "events.sqlite")
		_, err := os.Stat(file)
		fresh := errors.Is(err, os.ErrNotExist)
		settings := []string{
			"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "temp_store(MEMORY)", "mmap_size(0)",
			fmt.Sprintf("cache_size(-%d)", e.options.Memory<<10/sqliteConnections),
		}
		db, err := sql.Open("sqlite", "file:"+file+"?_pragma="+strings.Join(settings, "&_pragma="))
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(sqliteConnections)
		s := &sqlite{db: db, home: e.home, parts: parts}
		if fresh {
			_, err = db.ExecContext(ctx, sqliteTable)
			if err == nil && parts {
				_, err = db.ExecContext(ctx, sqliteParts)
			}
		}
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		return s, nil
	}
}

// sqliteConnections is how many connections share the cache's memory; each has
// its own part of it.
const sqliteConnections = 2

func (s *sqlite) processes() []int { return nil }

// write reads events beside other writers, and keeps them alone.
func (s *sqlite) write(ctx context.Context, b *batch) error {
	var rows []sqliteRow
	r := new(reader)
	err := b.each(func(number int64, data []byte) error {
		e, err := r.read(number, data)
		if err == nil {
			rows = append(rows, newSqliteRow(e))
		}
		return err
	})
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.change(ctx, func(tx *sql.Tx) error { return s.insert(ctx, tx, rows) })
}

// change runs do in one transaction.
func (s *sqlite) change(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (s *sqlite) insert(ctx context.Context, tx *sql.Tx, rows []sqliteRow) error {
	insert, err := tx.PrepareContext(ctx, sqliteInsert)
	if err != nil {
		return err
	}
	defer insert.Close()
	texts := []string{sqliteWord}
	if s.parts {
		texts = append(texts, sqlitePart)
	}
	for _, row := range rows {
		if _, err := insert.ExecContext(ctx, row.values...); err != nil {
			return err
		}
	}
	for _, statement := range texts {
		index, err := tx.PrepareContext(ctx, statement)
		if err != nil {
			return err
		}
		defer index.Close()
		for _, row := range rows {
			if _, err := index.ExecContext(ctx, row.number, row.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle does what SQLite's own documents advise to do at times.
func (s *sqlite) settle(ctx context.Context) error {
	return s.all(ctx, "INSERT INTO words(words) VALUES ('optimize')", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)")
}

func (s *sqlite) size(context.Context) (int64, error) { return sizeOf(s.home) }

func (s *sqlite) all(ctx context.Context, commands ...string) error {
	for _, command := range commands {
		if _, err := s.db.ExecContext(ctx, command); err != nil {
			return fmt.Errorf("sqlite: %s: %w", command, err)
		}
	}
	return nil
}

// eachRow calls do with every row that a question has.
func (s *sqlite) eachRow(ctx context.Context, statement string, do func(*sqliteEvent) error, values ...any) error {
	rows, err := s.db.QueryContext(ctx, statement, values...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var e sqliteEvent
	var id []byte
	for rows.Next() {
		if err := rows.Scan(&e.Seq, &id, &e.Source, &e.Tag, &e.Micros, &e.Outcome, &e.IP, &e.User, &e.UserName, &e.Other,
			&e.Project, &e.Org, &e.Token, &e.RequestID, (*[]byte)(&e.Additional)); err != nil {
			return err
		}
		e.ID = idText(id)
		if err := do(&e); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *sqlite) ask(ctx context.Context, q *question) (func() (*answer, error), error) {
	if q.Topic == tagCount {
		a, err := s.count(ctx, q)
		return func() (*answer, error) { return a, nil }, err
	}
	limit := q.Topic.limit()
	if limit == 0 {
		limit = -1
	}
	statement := sqliteQuestions[q.Topic]
	if q.Topic == partNewest && s.parts {
		statement = sqlitePartIndexed
	}
	a := new(answer)
	err := s.eachRow(ctx, statement, func(e *sqliteEvent) error {
		a.numbers = append(a.numbers, e.Seq)
		return nil
	}, q.Value, q.After, limit)
	return func() (*answer, error) { return a, nil }, err
}

// count answers a question of topic tagCount.
func (s *sqlite) count(ctx context.Context, q *question) (*answer, error) {
	days, err := s.facets(ctx, sqliteDays, q.Value, q.Outcome, q.After)
	if err != nil {
		return nil, err
	}
	a := &answer{days: make(map[string]int64, len(days))}
	for _, day := range days {
		a.days[day.Value] = day.Count
		a.count += day.Count
	}
	a.top, err = s.facets(ctx, sqliteTop, q.Value, q.Outcome, q.After, topProjects)
	return a, err
}

func (s *sqlite) facets(ctx context.Context, statement string, values ...any) ([]facet, error) {
	rows, err := s.db.QueryContext(ctx, statement, values...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []facet
	for rows.Next() {
		var f facet
		if err := rows.Scan(&f.Value, &f.Count); err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, rows.Err()
}

func (s *sqlite) export(ctx context.Context, each func(line []byte) error) error {
	return s.eachRow(ctx, "SELECT "+sqliteColumns+" FROM events ORDER BY seq", func(e *sqliteEvent) error {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		return each(line)
	})
}

func (s *sqlite) reclaim(ctx context.Context) error {
	return s.all(ctx, "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
}

func (s *sqlite) close() error { return s.db.Close() }
