package main

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// export measures how fast all events come out again.
func (m *measurement) export(ctx context.Context) error {
	var sum idSum
	size := 0
	began := time.Now()
	err := m.peer.export(ctx, func(line []byte) error {
		size += len(line)
		if bytes.Contains(line, ofTheLog) {
			return nil
		}
		id := line
		if _, after, ok := bytes.Cut(line, idName); ok {
			id = after
		}
		number, err := numberOf(id[:min(len(id), 36)])
		if err != nil {
			return err
		}
		sum.add(number)
		return nil
	})
	took := time.Since(began).Seconds()
	if err == nil && sum != m.plan.IDs {
		err = &wrongError{fmt.Sprintf("%d events, want %d", sum.Count, m.plan.IDs.Count)}
	}
	if err != nil {
		if m.result.excuse(secondsExport, err) {
			return nil
		}
		return fmt.Errorf("export: %w", err)
	}
	m.result.Seconds[secondsExport] = took
	m.result.ExportBytes = int64(size)
	return nil
}

var (
	idName   = []byte(`"id":"`)
	ofTheLog = []byte(`"tag":"` + ownTags) // an event that Custody records about itself
)

// restart measures how long it took to open the peer, whose files were out of
// memory, and to answer a question.
func (m *measurement) restart(ctx context.Context) error {
	var times series
	if err := m.ask(ctx, m.plan.Questions[projectNewest][0], &times); err != nil {
		if m.result.excuse(secondsRestart, err) {
			return nil
		}
		return err
	}
	m.result.Seconds[secondsRestart] = time.Since(m.opened).Seconds()
	return nil
}

// remove measures a purge and an erasure, and sees that what is gone is not
// found.
func (m *measurement) remove(ctx context.Context) error {
	if err := m.timed(secondsPurge, func() (int, error) { return m.peer.purge(ctx, &m.plan.Purge, m.plan.Cut) }, m.plan.Purged); err != nil {
		return err
	}
	if err := m.timed(secondsReclaim, func() (int, error) { return -1, m.peer.reclaim(ctx) }, -1); err != nil {
		return err
	}
	if err := m.timed(secondsErase, func() (int, error) { return m.peer.erase(ctx, m.plan.Erase) }, m.plan.Erased); err != nil {
		return err
	}
	if m.result.Seconds[secondsErase] > 0 {
		if err := m.sawErased(ctx); err != nil && !m.result.excuse(secondsErase, err) {
			return fmt.Errorf("after the erasure: %w", err)
		}
	}
	if m.result.Seconds[secondsPurge] > 0 {
		if err := m.sawPurged(ctx); err != nil && !m.result.excuse(secondsPurge, err) {
			return fmt.Errorf("after the purge: %w", err)
		}
	}
	return nil
}

// timed measures how long do takes, which must say that it did right to as many
// events as it should.
func (m *measurement) timed(name string, do func() (int, error), right int) error {
	began := time.Now()
	n, err := do()
	if err == nil && n >= 0 && n != right {
		err = &wrongError{fmt.Sprintf("%d events, want %d", n, right)}
	}
	if err != nil {
		if m.result.excuse(name, err) {
			return nil
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	m.result.Seconds[name] = time.Since(began).Seconds()
	return nil
}

// sawErased looks for the erased user, who must not be found.
func (m *measurement) sawErased(ctx context.Context) error {
	var times series
	return m.ask(ctx, &question{Topic: userNewest, Value: m.plan.Erase, Want: wantNumbers(nil)}, &times)
}

// sawPurged looks for purged events.
func (m *measurement) sawPurged(ctx context.Context) error {
	for _, tag := range m.plan.Purge.Tags {
		read, err := m.peer.ask(ctx, &question{Topic: tagCount, Value: tag, Outcome: "success"})
		if err != nil {
			return err
		}
		a, err := read()
		if err != nil {
			return err
		}
		for day, n := range a.days {
			if n > 0 && day < m.plan.Cut.Format(time.DateOnly) {
				return &wrongError{fmt.Sprintf("there are %d events with tag %s of %s", n, tag, day)}
			}
		}
	}
	return nil
}
