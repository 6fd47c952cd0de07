package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// outcomes are all that an event can have: naming them lets the purge use the
// index of tags.
const outcomes = `('success','failure','denied','unknown')`

func (s *sqlite) purge(ctx context.Context, c *class, cut time.Time) (int, error) {
	removed := 0
	err := s.change(ctx, func(tx *sql.Tx) error {
		tags, err := json.Marshal(c.Tags)
		if err != nil {
			return err
		}
		const gone = `tag IN (SELECT value FROM json_each(?1)) AND outcome IN ` + outcomes + ` AND time < ?2`
		indexes := []string{"words"}
		if s.parts {
			indexes = append(indexes, "parts")
		}
		for _, index := range indexes {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+index+` WHERE rowid IN (SELECT seq FROM events WHERE `+gone+`)`, string(tags), cut.UnixMicro()); err != nil {
				return err
			}
		}
		done, err := tx.ExecContext(ctx, `DELETE FROM events WHERE `+gone, string(tags), cut.UnixMicro())
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		removed = int(n)
		return err
	})
	return removed, err
}

// erase takes rows out and puts them back without what is personal.
func (s *sqlite) erase(ctx context.Context, user string) (int, error) {
	var rows []sqliteRow
	err := s.eachRow(ctx, sqliteSelect+`user_id = ?1 UNION ALL `+sqliteSelect+`other_user_id = ?1`, func(row *sqliteEvent) error {
		e := row.entry()
		e.forget(user)
		e.readText()
		rows = append(rows, newSqliteRow(e))
		return nil
	}, user)
	if err != nil {
		return 0, err
	}
	return len(rows), s.change(ctx, func(tx *sql.Tx) error {
		tables := map[string]string{"events": "seq", "words": "rowid"}
		if s.parts {
			tables["parts"] = "rowid"
		}
		for table, key := range tables {
			for _, row := range rows {
				if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE `+key+` = ?`, row.number); err != nil {
					return err
				}
			}
		}
		return s.insert(ctx, tx, rows)
	})
}
