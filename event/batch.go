package event

import (
	"bytes"
	"fmt"
	"strconv"
)

// Limits of one batch.
const (
	MaxBatchBytes  = 8 << 20 // 8 MiB, decompressed
	MaxBatchEvents = 10_000
)

// A Format says how the events of a batch are put together.
type Format int

// The formats.
const (
	Array  Format = iota // a JSON array
	NDJSON               // one event a line (newline-delimited JSON); empty lines are skipped
)

// A LimitError says which limit a submission is over.
type LimitError struct {
	Index int    // place in the batch, from 0; -1 when it is the whole submission
	Limit string // for example "event of at most 65536 bytes"
}

func (e *LimitError) Error() string {
	if e.Index >= 0 {
		return fmt.Sprintf("event %d: over the limit: %s", e.Index, e.Limit)
	}
	return "over the limit: " + e.Limit
}

// The limits as an error names them.
var (
	eventLimit      = fmt.Sprintf("event of at most %d bytes", MaxJSONBytes)
	batchLimit      = fmt.Sprintf("batch of at most %d bytes after decompression", MaxBatchBytes)
	batchCountLimit = fmt.Sprintf("batch of at most %d events", MaxBatchEvents)
)

// ParseBatch parses a batch and calls each with the place and fields of every
// event in turn; the fields are valid until each returns. It stops at the first
// error, of its own or of each. An [*InvalidError] and a [*LimitError] carry the
// place of the event that is to blame.
func (p *Parser) ParseBatch(data []byte, format Format, each func(i int, f Fields) error) error {
	if len(data) > MaxBatchBytes {
		return &LimitError{Index: -1, Limit: batchLimit}
	}
	if format == NDJSON {
		return p.parseLines(data, each)
	}
	return p.parseArray(data, each)
}

func (p *Parser) parseLines(data []byte, each func(i int, f Fields) error) error {
	n := 0
	for line := range bytes.Lines(data) {
		if len(bytes.Trim(line, " \t\r\n")) == 0 {
			continue
		}
		p.reset(line)
		p.event()
		p.end()
		if err := p.deliver(n, len(line), each); err != nil {
			return err
		}
		n++
	}
	return checkCount(n)
}

func (p *Parser) parseArray(data []byte, each func(i int, f Fields) error) error {
	p.reset(data)
	if !p.take('[', "an array of events") {
		return p.err
	}
	n := 0
	for first := true; p.next(first, ']'); first = false {
		p.space()
		start := p.pos
		p.arena, p.fields = p.arena[:0], p.fields[:0]
		p.event()
		if err := p.deliver(n, p.pos-start, each); err != nil {
			return err
		}
		n++
	}
	p.end()
	if p.err != nil {
		return p.err
	}
	return checkCount(n)
}

// deliver hands the n-th event, which took size bytes, to each.
func (p *Parser) deliver(n, size int, each func(i int, f Fields) error) error {
	if n >= MaxBatchEvents {
		return &LimitError{Index: -1, Limit: batchCountLimit}
	}
	if size > MaxJSONBytes {
		return &LimitError{Index: n, Limit: eventLimit}
	}
	if err := p.finish(); err != nil {
		err.Index = n
		return err
	}
	return each(n, p.sorted)
}

func checkCount(n int) error {
	if n == 0 {
		return &InvalidError{Index: -1, Reason: "is a batch of no events"}
	}
	return nil
}

// CheckSize returns a [*LimitError] if one event of n bytes of JSON is too long.
func CheckSize(n int) error {
	if n > MaxJSONBytes {
		return &LimitError{Index: -1, Limit: eventLimit}
	}
	return nil
}

// tooMany is why an event with too many values is refused.
var tooMany = "has more than " + strconv.Itoa(maxFieldsAccepted) + " values"
