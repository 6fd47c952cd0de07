package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/gen"
)

// All peers read the same file, so that making events, which costs more than
// keeping them, is in nobody's figures.

const (
	eventsFile = "events.ndjson"

	batchEvents = 1000
	fileBuffer  = 1 << 20 // bytes
)

// makeEvents writes all events to a file, one a line, in the order of their
// times. An event's line is its number.
func makeEvents(o *options, file string) (err error) {
	c, err := catalogue.Load()
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	g := gen.Spread(c, o.Seed, o.End.Add(-o.Span), o.Span, o.Events)
	w := bufio.NewWriterSize(f, fileBuffer)
	var line []byte
	for range o.Events {
		line = append(g.Append(line[:0]), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// numberOf returns the number of an event: the last digits of its ID.
func numberOf(id []byte) (int64, error) {
	if len(id) != 36 {
		return 0, fmt.Errorf("peers: %q is not the ID of an event", id)
	}
	n := int64(0)
	for _, c := range id[24:] {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		default:
			return 0, fmt.Errorf("peers: %q is not the ID of an event", id)
		}
	}
	return n, nil
}

// lastOfID returns the number in the 16 bytes of an ID.
func lastOfID(id [16]byte) int64 {
	n := int64(0)
	for _, b := range id[10:] {
		n = n<<8 | int64(b)
	}
	return n
}

// A batch is some consecutive events.
type batch struct {
	first int64  // number of the first
	lines []byte // as they are in the file
}

// each calls do with the number and the JSON of each event.
func (b *batch) each(do func(number int64, event []byte) error) error {
	rest := b.lines
	for number := b.first; len(rest) > 0; number++ {
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		if err := do(number, line); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

// A supply hands out the events of a file in batches.
type supply struct {
	mu   sync.Mutex
	in   *bufio.Reader
	next int64
}

// next fills b with the next batch; io.EOF means that there is none.
func (s *supply) fill(b *batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.first, b.lines = s.next, b.lines[:0]
	for s.next < b.first+batchEvents {
		line, err := s.in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("peers: event %d: %w", s.next, err)
		}
		b.lines = append(b.lines, line...)
		s.next++
	}
	if len(b.lines) == 0 {
		return io.EOF
	}
	return nil
}

// eachEvent calls do with the number and the JSON of every event in a file.
func eachEvent(file string, do func(number int64, event []byte) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	s := &supply{in: bufio.NewReaderSize(f, fileBuffer)}
	var b batch
	for {
		switch err := s.fill(&b); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := b.each(do); err != nil {
			return err
		}
	}
}
