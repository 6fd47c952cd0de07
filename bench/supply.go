package main

import (
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/gen"
)

// poolEvents is how many events are made beforehand. They are sent again and
// again under new IDs, which costs next to nothing.
const poolEvents = 4 << 10

// A supply is the events that one worker sends. Each is new to the log. What it
// hands out is valid until it comes round again.
type supply struct {
	events [][]byte
	at     int
	number uint64 // of the next ID
}

// supplies deals poolEvents events out to workers.
func supplies(c *catalogue.Catalogue, workers int) []*supply {
	g := gen.New(c, 1, time.Now())
	list := make([]*supply, workers)
	for i := range list {
		list[i] = &supply{
			events: g.Make(max(1, poolEvents/workers)),
			number: uint64(i) << 32, // one worker's IDs end before the next one's begin
		}
	}
	return list
}

// one returns an event.
func (s *supply) one() []byte {
	e := s.events[s.at]
	s.at = (s.at + 1) % len(s.events)
	gen.Renumber(e, s.number)
	s.number++
	return e
}

// A batchSupply is the batches that one worker sends, as NDJSON.
type batchSupply struct {
	supply *supply
	lines  []byte
	starts []int // of each event in lines
}

func batchSupplies(c *catalogue.Catalogue, workers int) []*batchSupply {
	list := make([]*batchSupply, workers)
	for i, s := range supplies(c, workers) {
		b := &batchSupply{supply: s}
		for n := range batchEvents {
			b.starts = append(b.starts, len(b.lines))
			b.lines = append(append(b.lines, s.events[n%len(s.events)]...), '\n')
		}
		list[i] = b
	}
	return list
}

// one returns a batch.
func (b *batchSupply) one() []byte {
	for _, start := range b.starts {
		gen.Renumber(b.lines[start:], b.supply.number)
		b.supply.number++
	}
	return b.lines
}
