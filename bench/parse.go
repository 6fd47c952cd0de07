package main

import (
	"context"
	"crypto/rand"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// parsedAtOnce is how many events make a call where one is too short to time.
const parsedAtOnce = 256

// parse measures the strict reader, on one core.
func parse(ctx context.Context, t *trial) error {
	c, err := catalogue.Load()
	if err != nil {
		return err
	}
	s, p := supplies(c, 1)[0], new(event.Parser)
	return t.measure(ctx, load{workers: 1, events: parsedAtOnce, untimed: true, call: func(int) error {
		for range parsedAtOnce {
			if _, err := p.Parse(s.one()); err != nil {
				return err
			}
		}
		return nil
	}})
}

// parseAndCommit measures the reader and the making of records, on one core.
func parseAndCommit(ctx context.Context, t *trial) error {
	c, err := catalogue.Load()
	if err != nil {
		return err
	}
	s, p, w := supplies(c, 1)[0], new(event.Parser), new(event.Sealer)
	var (
		record  []byte
		secrets event.Secrets
	)
	return t.measure(ctx, load{workers: 1, events: parsedAtOnce, untimed: true, call: func(int) error {
		for range parsedAtOnce {
			fields, err := p.Parse(s.one())
			if err != nil {
				return err
			}
			rand.Read(secrets.Open[:]) // never fails
			rand.Read(secrets.Private[:])
			record, _ = w.AppendRecord(record[:0], fields, &secrets)
		}
		return nil
	}})
}
