package main

import (
	"context"
	"errors"
	"time"
)

// A kind is a kind of peer.
type kind struct {
	name   string
	about  string
	server bool   // it is other processes, and what it answers came over a socket
	reads  string // the peer whose files it reads, and is only asked about; "" if it has its own
	open   func(ctx context.Context, e *env) (peer, error)
}

// shares reports whether two peers are one, or one reads the other's files.
func (k *kind) shares(other *kind) bool {
	return k == other || k.reads == other.name || other.reads == k.name
}

// An env is where and how a peer is to be opened.
type env struct {
	home    string // a directory of its own
	options *options
}

// kinds are all kinds of peers, in the order of the table.
var kinds = []*kind{
	{name: "custody", about: "the program, over HTTP", server: true, open: openCustody},
	{name: "custody, in process", about: "what the program has written, read in this process", reads: "custody", open: openCustodyInside},
	{name: "postgres", about: "PostgreSQL, an index of words", server: true, open: postgresWith(false)},
	{name: "postgres+parts", about: "PostgreSQL, and an index of trigrams (pg_trgm)", server: true, open: postgresWith(true)},
	{name: "sqlite", about: "SQLite in this process, an index of words (FTS5)", open: sqliteWith(false)},
	{name: "sqlite+parts", about: "SQLite in this process, and an index of trigrams (FTS5)", open: sqliteWith(true)},
	{name: "pebble", about: "Pebble in this process, no index of words", open: pebbleWith(false)},
	{name: "pebble+words", about: "Pebble in this process, and a key for each word", open: pebbleWith(true)},
}

func kindNamed(name string) (*kind, error) {
	for _, k := range kinds {
		if k.name == name {
			return k, nil
		}
	}
	return nil, errors.New("peers: no peer " + name)
}

// errUnable means that a peer has no way to do what was asked of it. The table
// has a gap there.
var errUnable = errors.New("this peer cannot do that")

// A peer keeps events and answers questions. Its methods are called by one
// goroutine, but for write.
type peer interface {
	// processes returns the processes whose CPU time and memory are the peer's;
	// none means that it is this one. Those they started count too.
	processes() []int

	// write returns once the events of a batch would survive a power cut. It is
	// called concurrently.
	write(ctx context.Context, b *batch) error

	// settle does, or waits for, what is left to do after writing.
	settle(ctx context.Context) error

	// size returns how many bytes on disk hold the events, once settled.
	size(ctx context.Context) (int64, error)

	// ask returns once everything that answers a question is in this process.
	// What it returns reads the answer out of it; that is not timed.
	ask(ctx context.Context, q *question) (read func() (*answer, error), err error)

	// export calls each with every event, as a line of JSON that is valid until
	// it returns.
	export(ctx context.Context, each func(line []byte) error) error

	// purge removes the events of a retention class that are older than cut, and
	// returns how many there were, -1 if it does not say.
	purge(ctx context.Context, c *class, cut time.Time) (int, error)

	// erase removes what is personal about a user from all events, so that they
	// are not found by it any more. It returns how many events those were, -1 if
	// it does not say.
	erase(ctx context.Context, user string) (int, error)

	// reclaim gives back the room of what was removed.
	reclaim(ctx context.Context) error

	// close ends the peer in good order.
	close() error
}

// A class is a retention class and the tags of the events in it.
type class struct {
	Name string
	Tags []string
}

// An answer is what a peer says to a question.
type answer struct {
	numbers []int64 // of the events, in the order of the answer
	own     int     // events that the peer itself recorded, which are not in numbers

	// Of a count only:
	count int64
	days  map[string]int64 // by date
	top   []facet
}

// A facet is a value and in how many events it is.
type facet struct {
	Value string
	Count int64
}
