package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/gen"
)

// Room for one answer's lines, in bytes.
const (
	shortAnswer = 4 << 10
	longAnswer  = 64 << 10
)

// requestHead returns the head of a submission of length bytes.
func requestHead(s *server, media string, length int, more string) []byte {
	return fmt.Appendf(nil, "POST /v1/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n",
		s.addr, s.key, media, length, more)
}

// httpSingle measures submissions of one event each over that many connections.
func httpSingle(connections int) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		return t.withServer(ctx, func(s *server, c *catalogue.Catalogue) error {
			requests := make([]*requests, connections)
			for i, pool := range supplies(c, connections) {
				requests[i] = newRequests(s, pool)
			}
			// Last, because the server closes connections that stay idle.
			conns, err := s.dial(ctx, connections, shortAnswer)
			if err != nil {
				return err
			}
			defer conns.close()
			return t.measure(ctx, load{
				workers: connections, events: 1, settle: func() error { return s.settle(ctx) },
				call: func(worker int) error { return conns[worker].do(http.StatusCreated, requests[worker].one()) },
			})
		})
	}
}

// requests are whole submissions of one event each, which one worker sends.
type requests struct {
	supply *supply
	bytes  [][]byte // a head and an event
	events [][]byte // the event in each
}

func newRequests(s *server, pool *supply) *requests {
	r := &requests{supply: pool}
	for _, e := range pool.events {
		head := requestHead(s, "application/json", len(e), "")
		whole := append(head, e...)
		r.bytes = append(r.bytes, whole)
		r.events = append(r.events, whole[len(head):])
	}
	return r
}

// one returns a request for a new event.
func (r *requests) one() []byte {
	i := r.supply.at
	r.supply.at = (i + 1) % len(r.bytes)
	gen.Renumber(r.events[i], r.supply.number)
	r.supply.number++
	return r.bytes[i]
}

// A batcher returns what gives one worker its next request, as pieces. After
// the last one, there is none.
type batcher func(t *trial, s *server, c *catalogue.Catalogue) (next func(worker int) [][]byte, err error)

// httpBatches measures submissions of batches.
func httpBatches(batches batcher) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		return t.withServer(ctx, func(s *server, c *catalogue.Catalogue) error {
			next, err := batches(t, s, c)
			if err != nil {
				return err
			}
			conns, err := s.dial(ctx, submitters, longAnswer)
			if err != nil {
				return err
			}
			defer conns.close()
			return t.measure(ctx, load{
				workers: submitters, events: batchEvents, settle: func() error { return s.settle(ctx) },
				call: func(worker int) error {
					request := next(worker)
					if request == nil {
						return errors.New("the batches made beforehand are used up; hint: fewer -seconds")
					}
					return conns[worker].do(http.StatusCreated, request...)
				},
			})
		})
	}
}

// plain makes batches of NDJSON whose answers name every event's commitment.
func plain(_ *trial, s *server, c *catalogue.Catalogue) (func(int) [][]byte, error) {
	pool := batchSupplies(c, submitters)
	heads := make([][]byte, submitters)
	for i, b := range pool {
		heads[i] = requestHead(s, "application/x-ndjson", len(b.lines), "")
	}
	return func(worker int) [][]byte { return [][]byte{heads[worker], pool[worker].one()} }, nil
}

// fastest is how many events a second compressed batches are made for.
const fastest = 400_000

// compressed makes batches of NDJSON in zstd, with the short answer. They are
// compressed beforehand: that a client does this is not what is measured.
func compressed(t *trial, s *server, c *catalogue.Catalogue) (func(int) [][]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	pool := batchSupplies(c, submitters)
	all := make([][]byte, int(fastest/batchEvents*(t.length.Seconds()*1.2+1)))
	for i := range all {
		all[i] = z.EncodeAll(pool[i%submitters].one(), nil)
	}
	var used atomic.Int64
	return func(int) [][]byte {
		i := used.Add(1) - 1
		if i >= int64(len(all)) {
			return nil
		}
		head := requestHead(s, "application/x-ndjson", len(all[i]), "Content-Encoding: zstd\r\nPrefer: return=minimal\r\n")
		return [][]byte{head, all[i]}
	}, nil
}

// withServer lets do use a server on a new log.
func (t *trial) withServer(ctx context.Context, do func(*server, *catalogue.Catalogue) error) error {
	c, err := catalogue.Load()
	if err != nil {
		return err
	}
	s, err := startServer(ctx, t)
	if err != nil {
		return err
	}
	err = do(s, c)
	size := int64(0)
	if err == nil {
		size, err = s.signed(ctx)
	}
	if err := errors.Join(err, s.stop()); err != nil {
		return err
	}
	return t.weigh(s.data, float64(size))
}

// conns are connections to one server.
type conns []*conn

// dial opens n connections.
func (s *server) dial(ctx context.Context, n, answerBytes int) (conns, error) {
	var all conns
	for range n {
		c, err := dial(ctx, s.addr, answerBytes)
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (all conns) close() {
	for _, c := range all {
		_ = c.Close() // all answers were read
	}
}
