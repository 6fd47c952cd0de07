// Package gen makes events such as a package registry sends, for benchmarks
// and tests: about 500 bytes of JSON each, of the types in the catalogue.
//
// # Promises
//
//   - The same catalogue, seed and start give the same bytes.
//   - Every event is valid: the log records it as it is.
//   - No two events have the same ID, as long as every generator has a seed of
//     its own below [MaxSeed].
//   - A few users, projects and addresses are in most events, and most are in
//     few, as in a real registry.
//
// Making an event costs more than recording one. A benchmark makes some
// beforehand and calls [Renumber] for each use.
package gen

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/custody-log/custody/catalogue"
)

// How many there are of what events speak of.
const (
	Users     = 500_000
	Projects  = 500_000
	Addresses = 1_000_000
	Agents    = 2_000
	Orgs      = 5_000
)

// MaxSeed bounds seeds: an ID has room for 24 bits of one.
const MaxSeed = 1 << 24

// A Generator makes events. It is for one goroutine.
type Generator struct {
	random *rand.Rand
	kinds  *kinds
	seed   uint64
	start  time.Time
	step   time.Duration // between two events
	made   uint64

	users, projects, addresses, agents, versions *rand.Zipf

	b []byte // what is being made
	a act
}

// An act is what the event being made is about.
type act struct {
	kind      *kind
	at        time.Time
	user      int
	project   int
	org       int
	token     int
	machine   bool // a trusted publisher did it
	version   string
	succeeded bool
}

// New returns a generator of events of the types in c, the first of which
// happens at start and each other a millisecond after the one before.
func New(c *catalogue.Catalogue, seed uint64, start time.Time) *Generator {
	r := rand.New(rand.NewPCG(seed, 0x637573746f6479))
	return &Generator{
		random:    r,
		kinds:     newKinds(c),
		seed:      seed % MaxSeed,
		start:     start.UTC().Truncate(time.Millisecond),
		step:      time.Millisecond,
		users:     rand.NewZipf(r, 1.12, 40, Users-1),
		projects:  rand.NewZipf(r, 1.10, 60, Projects-1),
		addresses: rand.NewZipf(r, 1.05, 200, Addresses-1),
		agents:    rand.NewZipf(r, 1.10, 20, Agents-1),
		versions:  rand.NewZipf(r, 1.30, 3, 400),
	}
}

// Spread returns a generator as [New] does, but n of its events fill span: the
// first happens at start and the others follow evenly, to the millisecond, so
// that the n-th is one step before start and span. It panics if that leaves
// less than a millisecond between two.
func Spread(c *catalogue.Catalogue, seed uint64, start time.Time, span time.Duration, n int) *Generator {
	if n < 1 || span/time.Duration(n) < time.Millisecond {
		panic(fmt.Sprintf("gen: %d events spread over %s, want at least one and a millisecond for each", n, span))
	}
	g := New(c, seed, start)
	g.step = span / time.Duration(n)
	return g
}

// Append appends the next event, as JSON on one line without a line end.
func (g *Generator) Append(dst []byte) []byte {
	g.b = dst
	g.choose()
	g.head()
	g.actor()
	g.subjects()
	g.context()
	g.metadata()
	g.made++
	return append(g.b, '}')
}

// Make returns the next n events.
func (g *Generator) Make(n int) [][]byte {
	events := make([][]byte, n)
	for i := range events {
		events[i] = g.Append(nil)
	}
	return events
}

// Where an event made here has its ID, and in it the number.
const (
	idAt     = len(`{"id":"`)
	idBytes  = 36
	numberAt = idAt + idBytes - numberDigits

	numberDigits = 12
)

// ID returns the ID of an event that Append made.
func ID(event []byte) string { return string(event[idAt : idAt+idBytes]) }

// Renumber makes another event of one that Append made: it puts n, of which 48
// bits count, into the last digits of the ID. Append numbers from 0.
func Renumber(event []byte, n uint64) {
	for i := numberAt + numberDigits - 1; i >= numberAt; i-- {
		event[i] = hexDigits[n&15]
		n >>= 4
	}
}

const hexDigits = "0123456789abcdef"

// choose decides what happens next.
func (g *Generator) choose() {
	k := g.kinds.pick(g.random.Float64())
	a := &g.a
	a.kind = k
	a.at = g.start.Add(time.Duration(g.made) * g.step).Truncate(time.Millisecond)
	a.user = int(g.users.Uint64())
	// Half of what somebody does is about their own few projects.
	a.project = int(g.projects.Uint64())
	if g.random.IntN(2) == 0 {
		a.project = int(mix(uint64(a.user)*8+g.random.Uint64N(3)) % Projects)
	}
	a.org = int(mix(uint64(a.project)+saltOrg) % Orgs)
	a.token = a.user*4 + g.random.IntN(2)
	a.machine = k.class == "project" && g.random.IntN(3) == 0
	a.succeeded = g.random.Float64() >= k.failing
	v := strconv.AppendUint(nil, g.versions.Uint64()%30, 10)
	v = strconv.AppendUint(append(v, '.'), g.versions.Uint64(), 10)
	v = strconv.AppendUint(append(v, '.'), g.versions.Uint64(), 10)
	a.version = string(v)
}

// head writes ID, tag, time and outcome.
func (g *Generator) head() {
	a := &g.a
	ms := uint64(a.at.UnixMilli())
	// A UUIDv7: 48 bits of time, 12 of the seed, 14 of the seed, 48 of the number.
	var id [16]byte
	put48(id[:6], ms)
	id[6] = 0x70 | byte(g.seed>>20)&0x0f
	id[7] = byte(g.seed >> 12)
	id[8] = 0x80 | byte(g.seed>>8)&0x0f
	id[9] = byte(g.seed)
	put48(id[10:], g.made)
	var text [idBytes]byte
	hex.Encode(text[0:], id[:4])
	hex.Encode(text[9:], id[4:6])
	hex.Encode(text[14:], id[6:8])
	hex.Encode(text[19:], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	g.raw(`{"id":"`)
	g.b = append(g.b, text[:]...)
	g.raw(`","tag":"`)
	g.raw(a.kind.tag)
	g.raw(`","time":"`)
	g.b = a.at.AppendFormat(g.b, "2006-01-02T15:04:05.000Z")
	g.raw(`","outcome":"`)
	g.raw(g.outcome())
	g.raw(`"`)
}

func put48(b []byte, v uint64) {
	for i := range 6 {
		b[i] = byte(v >> (40 - 8*i))
	}
}

func (g *Generator) outcome() string {
	switch {
	case g.a.succeeded:
		return "success"
	case g.random.IntN(4) == 0:
		return "denied"
	}
	return "failure"
}

func (g *Generator) raw(s string) { g.b = append(g.b, s...) }

// text writes ,"name":"value".
func (g *Generator) text(name, value string) {
	g.raw(`,"`)
	g.raw(name)
	g.raw(`":"`)
	g.raw(value)
	g.raw(`"`)
}
