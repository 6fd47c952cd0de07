package journal

import "fmt"

// A Past has the records that the door of a [Journal] has dropped. It may be
// called concurrently.
type Past interface {
	// Read returns up to limit records starting at from, in order and without
	// gaps: at least one, as there is one. It may stop early, as after
	// [MaxReadBytes]. The Body of a record that retention dropped is nil.
	//
	// It has every record that the door has dropped, from before the door
	// began to drop it. What else it has does not matter here.
	Read(from Seq, limit int) ([]Record, error)
}

// SetPast lets [Journal.Read] ask p for what the door has dropped. It is called
// before anybody reads that: until then the error is [ErrDropped].
func (j *Journal) SetPast(p Past) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.past = p
}

// readPast returns records that p has. Views are computed from them, so what is
// not what was asked for must not pass.
func readPast(p Past, from Seq, limit int) ([]Record, error) {
	records, err := p.Read(from, limit)
	if err != nil {
		return nil, fmt.Errorf("journal: read record %d, which was dropped here: %w", from, err)
	}
	if len(records) == 0 || len(records) > limit {
		return nil, fmt.Errorf("journal: read record %d, which was dropped here: got %d records, want 1 to %d",
			from, len(records), limit)
	}
	for i, r := range records {
		if want := from + Seq(i); r.Seq != want {
			return nil, fmt.Errorf("journal: read record %d, which was dropped here: got record %d", want, r.Seq)
		}
	}
	return records, nil
}
