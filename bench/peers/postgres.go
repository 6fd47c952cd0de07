package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgresTable is made as a package index would: what is asked for in columns,
// each with the index its question needs, and everything else in one JSON
// object. Words are those of all columns and of the object, cut as [eachWord]
// does, with the help of translate. The purge and the count need (tag, outcome, time); project is in that
// index so that the count can be answered from it alone.
const postgresTable = `
CREATE TABLE events (
	id uuid NOT NULL,
	source_id text NOT NULL,
	tag text NOT NULL,
	time timestamptz NOT NULL,
	outcome text NOT NULL,
	ip inet,
	user_id text,
	user_name text,
	other_user_id text,
	project text,
	org text,
	token text,
	request_id text,
	additional jsonb NOT NULL
);
ALTER TABLE events ADD PRIMARY KEY (id);
CREATE INDEX events_time ON events (time DESC);
CREATE INDEX events_project ON events (project, time DESC) WHERE project IS NOT NULL;
CREATE INDEX events_user ON events (user_id, time DESC) WHERE user_id IS NOT NULL;
CREATE INDEX events_other ON events (other_user_id, time DESC) WHERE other_user_id IS NOT NULL;
CREATE INDEX events_ip ON events (ip, time DESC) WHERE ip IS NOT NULL;
CREATE INDEX events_token ON events (token, time DESC) WHERE token IS NOT NULL;
CREATE INDEX events_tag ON events (tag, outcome, time DESC) INCLUDE (project);
CREATE INDEX events_words ON events USING gin ((` + postgresWords + `));
`

const postgresParts = `
CREATE EXTENSION pg_trgm;
CREATE INDEX events_parts ON events USING gin ((` + postgresBody + `) gin_trgm_ops);
`

// What is searched for text. The names and some values in additional should not
// be, so no question is about a word in them.
const (
	postgresText  = `(coalesce(user_name, '') || ' ' || coalesce(project, '') || ' ' || coalesce(org, '') || ' ' || additional::text)`
	postgresWords = `to_tsvector('simple', translate(` + postgresText + `, '-_/.:;,()[]{}"''\@+=<>!?#%&*|~^$` + "`" + `', repeat(' ', 32)))`
	postgresBody  = `lower(` + postgresText + `)`
)

var postgresColumns = []string{
	"id", "source_id", "tag", "time", "outcome", "ip", "user_id", "user_name", "other_user_id", "project", "org", "token", "request_id", "additional",
}

// A postgres is a PostgreSQL server of its own.
type postgres struct {
	server *postgresServer
	pool   *pgxpool.Pool
}

func postgresWith(parts bool) func(context.Context, *env) (peer, error) {
	return func(ctx context.Context, e *env) (peer, error) {
		s, fresh, err := startPostgres(ctx, e)
		if err != nil {
			return nil, err
		}
		p := &postgres{server: s}
		if p.pool, err = pgxpool.New(ctx, s.address()); err == nil && fresh {
			_, err = p.pool.Exec(ctx, postgresTable)
			if err == nil && parts {
				_, err = p.pool.Exec(ctx, postgresParts)
			}
		}
		if err != nil {
			_ = p.close() // the first error is the news
			return nil, err
		}
		return p, nil
	}
}

func (p *postgres) processes() []int { return []int{p.server.command.Process.Pid} }

func (p *postgres) write(ctx context.Context, b *batch) error {
	rows := make([][]any, 0, batchEvents)
	r := new(reader)
	err := b.each(func(number int64, data []byte) error {
		e, err := r.read(number, data)
		if err != nil {
			return err
		}
		row, err := postgresRow(e)
		rows = append(rows, row)
		return err
	})
	if err != nil {
		return err
	}
	// COPY is a transaction of its own.
	_, err = p.pool.CopyFrom(ctx, pgx.Identifier{"events"}, postgresColumns, pgx.CopyFromRows(rows))
	return err
}

func postgresRow(e *entry) ([]any, error) {
	var id pgtype.UUID
	if err := id.Scan(e.id); err != nil {
		return nil, err
	}
	var ip *netip.Addr
	if e.ip != "" {
		a, err := netip.ParseAddr(e.ip)
		if err != nil {
			return nil, err
		}
		ip = &a
	}
	return []any{
		id, sourceName, e.tag, time.UnixMicro(e.micros).UTC(), e.outcome, ip, orNull(e.user), orNull(e.userName), orNull(e.other),
		orNull(e.project), orNull(e.org), orNull(e.token), orNull(e.request), string(e.rest),
	}, nil
}

// sourceName is which program all events come from.
const sourceName = "bench"

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// settle lets PostgreSQL do what it would do in time, and count what it has.
func (p *postgres) settle(ctx context.Context) error {
	for _, command := range []string{"VACUUM (ANALYZE) events", "CHECKPOINT"} {
		if _, err := p.pool.Exec(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// size returns what the table and its indexes take. It leaves aside the log of
// what was written, which is used again and again, so that its size is a
// setting, and what every cluster has.
func (p *postgres) size(ctx context.Context) (size int64, err error) {
	err = p.pool.QueryRow(ctx, "SELECT pg_total_relation_size('events')").Scan(&size)
	return size, err
}

// postgresQuestions are the questions that events answer. $1 is the value, $2
// the time and $3 how many.
var postgresQuestions = map[topic]string{
	projectNewest: `SELECT * FROM events WHERE project = $1 AND time >= $2 ORDER BY time DESC LIMIT $3`,
	userNewest: `(SELECT * FROM events WHERE user_id = $1 AND time >= $2 ORDER BY time DESC LIMIT $3)
		UNION ALL (SELECT * FROM events WHERE other_user_id = $1 AND time >= $2 ORDER BY time DESC LIMIT $3) ORDER BY time DESC LIMIT $3`,
	ofAddress:  `SELECT * FROM events WHERE ip = $1::text::inet AND time >= $2 ORDER BY time DESC LIMIT $3`,
	ofToken:    `SELECT * FROM events WHERE token = $1 AND time >= $2 ORDER BY time DESC LIMIT $3`,
	wordNewest: `SELECT * FROM events WHERE ` + postgresWords + ` @@ plainto_tsquery('simple', $1) AND time >= $2 ORDER BY time DESC LIMIT $3`,
	partNewest: `SELECT * FROM events WHERE ` + postgresBody + ` LIKE '%' || $1 || '%' AND time >= $2 ORDER BY time DESC LIMIT $3`,
}

const (
	postgresDays = `SELECT to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count(*) FROM events
		WHERE tag = $1 AND outcome = $2 AND time >= $3 GROUP BY day`
	postgresTop = `SELECT project, count(*) AS events FROM events
		WHERE tag = $1 AND outcome = $2 AND time >= $3 AND project IS NOT NULL GROUP BY project ORDER BY events DESC LIMIT $4`
)

// A postgresEvent is a row as it is read.
type postgresEvent struct {
	id                                                    [16]byte
	source, tag, outcome                                  string
	time                                                  time.Time
	ip                                                    *netip.Addr
	user, userName, other, project, org, token, requestID *string
	additional                                            json.RawMessage
}

func (p *postgres) ask(ctx context.Context, q *question) (func() (*answer, error), error) {
	if q.Topic == tagCount {
		a, err := p.count(ctx, q)
		return func() (*answer, error) { return a, nil }, err
	}
	limit := any(nil) // no limit
	if n := q.Topic.limit(); n > 0 {
		limit = n
	}
	rows, err := p.pool.Query(ctx, postgresQuestions[q.Topic], q.Value, q.after(), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	a := new(answer)
	var e postgresEvent
	for rows.Next() {
		if err := rows.Scan(&e.id, &e.source, &e.tag, &e.time, &e.outcome, &e.ip, &e.user, &e.userName, &e.other,
			&e.project, &e.org, &e.token, &e.requestID, &e.additional); err != nil {
			return nil, err
		}
		a.numbers = append(a.numbers, lastOfID(e.id))
	}
	return func() (*answer, error) { return a, nil }, rows.Err()
}

// count answers a question of topic tagCount.
func (p *postgres) count(ctx context.Context, q *question) (*answer, error) {
	a := &answer{days: make(map[string]int64)}
	rows, err := p.pool.Query(ctx, postgresDays, q.Value, q.Outcome, q.after())
	if err != nil {
		return nil, err
	}
	var day facet
	if _, err := pgx.ForEachRow(rows, []any{&day.Value, &day.Count}, func() error {
		a.days[day.Value] = day.Count
		a.count += day.Count
		return nil
	}); err != nil {
		return nil, err
	}
	if rows, err = p.pool.Query(ctx, postgresTop, q.Value, q.Outcome, q.after(), topProjects); err != nil {
		return nil, err
	}
	var project facet
	_, err = pgx.ForEachRow(rows, []any{&project.Value, &project.Count}, func() error {
		a.top = append(a.top, project)
		return nil
	})
	return a, err
}

// export reads the table as the server has it, a line of JSON for each row.
func (p *postgres) export(ctx context.Context, each func(line []byte) error) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	w := &lineWriter{each: each}
	_, err = conn.Conn().PgConn().CopyTo(ctx, w, "COPY (SELECT row_to_json(events) FROM events) TO STDOUT")
	return err
}

// purge deletes rows. Its room is reused, not given back, until reclaim.
func (p *postgres) purge(ctx context.Context, c *class, cut time.Time) (int, error) {
	done, err := p.pool.Exec(ctx, "DELETE FROM events WHERE tag = ANY($1) AND time < $2", c.Tags, cut)
	return int(done.RowsAffected()), err
}

func (p *postgres) erase(ctx context.Context, user string) (int, error) {
	n := 0
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		for _, command := range []string{
			`UPDATE events SET user_id = NULL, user_name = NULL, ip = NULL, request_id = NULL, additional = (
				SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(additional)
				WHERE NOT starts_with(key, 'context.') AND NOT starts_with(key, 'metadata.')) WHERE user_id = $1`,
			`UPDATE events SET other_user_id = NULL, additional = (
				SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(additional)
				WHERE NOT starts_with(key, 'subjects.')) WHERE other_user_id = $1`,
		} {
			done, err := tx.Exec(ctx, command, user)
			if err != nil {
				return err
			}
			n += int(done.RowsAffected())
		}
		return nil
	})
	return n, err
}

func (p *postgres) reclaim(ctx context.Context) error {
	_, err := p.pool.Exec(ctx, "VACUUM events")
	return err
}

func (p *postgres) close() error {
	if p.pool != nil {
		p.pool.Close()
	}
	if err := p.server.stop(); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return nil
}
