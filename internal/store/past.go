package store

import (
	"errors"
	"fmt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
)

// Limits of one Read.
const (
	maxReadRecords = 4096
	maxReadBytes   = 8 << 20
)

// Read returns up to limit records from position from on that are in segments,
// as [journal.Past] wants them. A record that was dropped by retention has no
// body. It ends where the segments end.
func (s *Store) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	end := min(s.Sealed(), from+journal.Seq(min(limit, maxReadRecords)))
	if from < 0 || end <= from {
		return nil, nil
	}
	list := s.acquire()
	defer releaseAll(list)
	records := make([]journal.Record, end-from)
	for i := range records {
		records[i].Seq = from + journal.Seq(i)
	}
	bytes := 0
	for _, h := range list {
		if h.LastSeq < int64(from) || h.FirstSeq >= int64(end) {
			continue
		}
		n, err := h.readInto(records)
		if err != nil {
			return nil, h.noted(err)
		}
		bytes += n
	}
	if bytes > maxReadBytes {
		// The caller comes back for the rest.
		for i, n := 0, 0; i < len(records); i++ {
			if n += len(records[i].Body); n > maxReadBytes {
				return records[:i+1], nil
			}
		}
	}
	return records, nil
}

// committed returns the commitments of n records: those of the tree, and of the
// newest, which it may not have yet, those that the journal still has.
func (s *Store) committed(from journal.Seq, n int) ([]event.Commitment, error) {
	if s.parts.Tree == nil {
		return make([]event.Commitment, n), nil
	}
	list, err := s.parts.Tree.Commitments(from, n, nil)
	if err == nil && len(list) == n {
		return list, nil
	}
	list = list[:0]
	for len(list) < n {
		records, jerr := s.parts.Journal.Read(from+journal.Seq(len(list)), n-len(list))
		if jerr != nil || len(records) == 0 {
			return nil, fmt.Errorf("store: commitment of record %d: %w", from+journal.Seq(len(list)), errors.Join(err, jerr))
		}
		for _, r := range records {
			c, jerr := event.StoredCommitment(r.Body)
			if jerr != nil {
				return nil, fmt.Errorf("store: commitment of record %d: %w", r.Seq, jerr)
			}
			list = append(list, c)
		}
	}
	return list, nil
}

// readInto sets the bodies of those records that are in h.
func (h *handle) readInto(records []journal.Record) (bytes int, err error) {
	if err := h.usable(); err != nil {
		return 0, err
	}
	r := h.Reader()
	first := int64(records[0].Seq)
	i, err := r.SeqsFrom(first)
	if err != nil {
		return 0, err
	}
	var record event.Record
	for ; i < h.Len(); i++ {
		row, seq, err := r.RowAt(i)
		if err != nil {
			return bytes, err
		}
		k := seq - first
		if k >= int64(len(records)) {
			break
		}
		if _, err := r.Record(row, &record); err != nil {
			return bytes, err
		}
		digests, _ := record.Digests() // not from the tree: it may be what is being checked, or made anew
		record.Commitment = event.CommitmentOfDigests(digests)
		records[k].Body = record.AppendBody(nil)
		bytes += len(records[k].Body)
	}
	return bytes, nil
}

// Record returns one record that is in a segment; found is false if there is
// none.
func (s *Store) Record(seq journal.Seq) (record *event.Record, found bool, err error) {
	list, err := s.Read(seq, 1)
	if err != nil || len(list) == 0 || list[0].Body == nil {
		return nil, false, err
	}
	record, err = event.DecodeRecord(list[0].Body)
	return record, true, err
}
