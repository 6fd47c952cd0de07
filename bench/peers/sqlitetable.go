package main

import "encoding/json"

// sqliteTable has the same columns and indexes as that of PostgreSQL. A row's
// seq is the event's number, so newer rows have greater ones, and words need no
// time: that is kind to SQLite.
const sqliteTable = `
CREATE TABLE events (
	seq INTEGER PRIMARY KEY,
	id BLOB NOT NULL UNIQUE,
	source_id TEXT NOT NULL,
	tag TEXT NOT NULL,
	time INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	ip TEXT,
	user_id TEXT,
	user_name TEXT,
	other_user_id TEXT,
	project TEXT,
	org TEXT,
	token TEXT,
	request_id TEXT,
	additional TEXT NOT NULL
) STRICT;
CREATE INDEX events_time ON events (time);
CREATE INDEX events_project ON events (project, time) WHERE project IS NOT NULL;
CREATE INDEX events_user ON events (user_id, time) WHERE user_id IS NOT NULL;
CREATE INDEX events_other ON events (other_user_id, time) WHERE other_user_id IS NOT NULL;
CREATE INDEX events_ip ON events (ip, time) WHERE ip IS NOT NULL;
CREATE INDEX events_token ON events (token, time) WHERE token IS NOT NULL;
CREATE INDEX events_tag ON events (tag, outcome, time, project);
CREATE VIRTUAL TABLE words USING fts5(text, content='', contentless_delete=1, detail=none,
	tokenize="unicode61 remove_diacritics 0");
`

const sqliteParts = `
CREATE VIRTUAL TABLE parts USING fts5(text, content='', contentless_delete=1, detail=full, tokenize="trigram");
`

const (
	sqliteInsert = `INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	sqliteWord   = `INSERT INTO words(rowid, text) VALUES (?,?)`
	sqlitePart   = `INSERT INTO parts(rowid, text) VALUES (?,?)`

	sqliteColumns = `seq, id, source_id, tag, time, outcome, ip, user_id, user_name, other_user_id, project, org, token, request_id, additional`
)

const sqliteSelect = "SELECT " + sqliteColumns + " FROM events WHERE "

// sqliteQuestions are the questions that events answer. ?1 is the value, ?2 the
// time and ?3 how many, where -1 is no limit.
var sqliteQuestions = map[topic]string{
	projectNewest: sqliteSelect + `project = ?1 AND time >= ?2 ORDER BY time DESC LIMIT ?3`,
	userNewest: `SELECT * FROM (SELECT * FROM (` + sqliteSelect + `user_id = ?1 AND time >= ?2 ORDER BY time DESC LIMIT ?3)
		UNION ALL SELECT * FROM (` + sqliteSelect + `other_user_id = ?1 AND time >= ?2 ORDER BY time DESC LIMIT ?3)) ORDER BY time DESC LIMIT ?3`,
	ofAddress:  sqliteSelect + `ip = ?1 AND time >= ?2 ORDER BY time DESC LIMIT ?3`,
	ofToken:    sqliteSelect + `token = ?1 AND time >= ?2 ORDER BY time DESC LIMIT ?3`,
	wordNewest: sqliteSelect + `seq IN (SELECT rowid FROM words WHERE words MATCH '"' || ?1 || '"' ORDER BY rowid DESC LIMIT ?3) AND time >= ?2 ORDER BY seq DESC`,
	partNewest: sqliteSelect + `lower(concat_ws(' ', user_name, project, org, additional))
		LIKE '%' || ?1 || '%' AND time >= ?2 ORDER BY seq DESC LIMIT ?3`,
}

const (
	sqlitePartIndexed = sqliteSelect + `seq IN (SELECT rowid FROM parts WHERE parts MATCH '"' || ?1 || '"' ORDER BY rowid DESC LIMIT ?3) AND time >= ?2 ORDER BY seq DESC`

	sqliteDays = `SELECT date(time / 1000000, 'unixepoch') AS day, count(*) FROM events WHERE tag = ?1 AND outcome = ?2 AND time >= ?3 GROUP BY day`
	sqliteTop  = `SELECT project, count(*) AS events FROM events
		WHERE tag = ?1 AND outcome = ?2 AND time >= ?3 AND project IS NOT NULL GROUP BY project ORDER BY events DESC LIMIT ?4`
)

// A sqliteEvent is a row as it is read.
type sqliteEvent struct {
	Seq        int64           `json:"seq"`
	ID         string          `json:"id"`
	Source     string          `json:"source_id"`
	Tag        string          `json:"tag"`
	Micros     int64           `json:"time"`
	Outcome    string          `json:"outcome"`
	IP         *string         `json:"ip,omitempty"`
	User       *string         `json:"user_id,omitempty"`
	UserName   *string         `json:"user_name,omitempty"`
	Other      *string         `json:"other_user_id,omitempty"`
	Project    *string         `json:"project,omitempty"`
	Org        *string         `json:"org,omitempty"`
	Token      *string         `json:"token,omitempty"`
	RequestID  *string         `json:"request_id,omitempty"`
	Additional json.RawMessage `json:"additional"`
}

// A sqliteRow is what is inserted for one event.
type sqliteRow struct {
	number int64
	values []any
	text   string
}

func newSqliteRow(e *entry) sqliteRow {
	return sqliteRow{e.number, []any{
		e.number, idBytes(e.id), sourceName, e.tag, e.micros, e.outcome, orNull(e.ip), orNull(e.user), orNull(e.userName), orNull(e.other),
		orNull(e.project), orNull(e.org), orNull(e.token), orNull(e.request), string(e.rest),
	}, e.text()}
}

// entry returns the row as an entry without text.
func (row *sqliteEvent) entry() *entry {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return &entry{
		number: row.Seq, id: row.ID, micros: row.Micros, tag: row.Tag, outcome: row.Outcome, ip: text(row.IP), user: text(row.User),
		userName: text(row.UserName), other: text(row.Other), project: text(row.Project), org: text(row.Org), token: text(row.Token),
		request: text(row.RequestID), rest: row.Additional,
	}
}
