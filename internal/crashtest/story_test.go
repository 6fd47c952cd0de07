package crashtest_test

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/gen"
	"github.com/custody-log/custody/proof"
)

// A story is what clients know of one log over all its lives: what they were
// promised, and what they do not know.
type story struct {
	data   string // directory
	key    string // of its administrator
	logKey string // public
	policy *proof.Policy
	random *rand.Rand

	writers []*writer

	kept, dropped int // submissions without an answer that were recorded, or not

	mu      sync.Mutex
	acked   map[string]promise   // by ID
	unknown []submission         // without an answer
	signed  map[int64]tlog.Hash  // roots of signed checkpoints, by size
	texts   map[int64][]byte     // these checkpoints
	bodies  map[string][]byte    // some of the events that were acked, by ID
	failed  func(string, ...any) // reports from any goroutine
}

// A promise is what the service said of an event when it called it durable.
type promise struct {
	seq        int64
	commitment event.Commitment
}

// A submission is events that are sent together.
type submission struct {
	events [][]byte
}

// A writer makes events, and sends so many at a time.
type writer struct {
	gen   *gen.Generator
	batch int
}

// source is under whose name the events stand.
const source = "admin"

// newStory begins a log in data, with writers that send single events and
// batches.
func newStory(t *testing.T, data string, seed uint64, batches ...int) (*story, *service) {
	t.Helper()
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	st := &story{
		data:   data,
		random: rand.New(rand.NewPCG(seed, 0)),
		acked:  make(map[string]promise),
		signed: make(map[int64]tlog.Hash),
		texts:  make(map[int64][]byte),
		bodies: make(map[string][]byte),
		failed: t.Errorf,
	}
	for i, batch := range batches {
		st.writers = append(st.writers, &writer{gen.New(c, uint64(i+1), time.Now()), batch})
	}
	s := start(t, data)
	st.key, st.logKey = s.said.after("API key: "), s.said.after("Log key: ")
	if st.policy, err = proof.KeyPolicy(st.logKey); err != nil {
		t.Fatalf("log key %q: %v", st.logKey, err)
	}
	return st, s
}

// run lets each writer write, and a reader watch, until that writer gets no
// answer of success; and calls crash once that many more events are acknowledged. It
// returns what the writers were told that was neither success nor silence.
func (st *story) run(s *service, count int, crash func()) (refusals []answer) {
	var (
		group sync.WaitGroup
		once  sync.Once
	)
	st.mu.Lock()
	goal := len(st.acked) + count
	st.mu.Unlock()
	for _, w := range st.writers {
		group.Go(func() {
			for {
				sub := w.next()
				all, a, err := s.submit(st.key, sub.events)
				if err != nil {
					st.lost(sub)
					return
				}
				if all == nil {
					st.lost(sub)
					st.mu.Lock()
					refusals = append(refusals, a)
					st.mu.Unlock()
					return
				}
				if st.promised(sub, all) >= goal {
					once.Do(crash)
				}
			}
		})
	}
	written := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		st.watch(s, written)
	}()
	group.Wait()
	close(written)
	<-watched
	return refusals
}

// next makes the next submission.
func (w *writer) next() submission { return submission{w.gen.Make(w.batch)} }

// lost notes that a submission had no answer of success.
func (st *story) lost(sub submission) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.unknown = append(st.unknown, sub)
}

// promised notes what the service said of a submission, and returns how many
// events it ever acknowledged.
func (st *story) promised(sub submission, all []accepted) int {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, e := range sub.events {
		id := gen.ID(e)
		p := promise{all[i].Seq, all[i].Commitment}
		if before, ok := st.acked[id]; ok && before != p {
			st.failed("event %s was promised at %d (%x), now at %d (%x)", id, before.seq, before.commitment, p.seq, p.commitment)
		}
		st.acked[id] = p
		if i == 0 {
			st.bodies[id] = e
		}
	}
	return len(st.acked)
}

// watch notes the checkpoints that the service shows, until it shows none or
// enough is closed.
func (st *story) watch(s *service, enough <-chan struct{}) {
	for {
		tree, text, err := s.checkpoint(st.key)
		switch {
		case err == nil:
			st.saw(tree, text)
		case !errors.Is(err, errNotYet):
			return
		}
		select {
		case <-enough:
			return
		default:
		}
	}
}

// saw notes a signed checkpoint.
func (st *story) saw(tree tlog.Tree, text []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if before, ok := st.signed[tree.N]; ok && before != tree.Hash {
		st.failed("two roots were signed for size %d: %v and %v", tree.N, before, tree.Hash)
	}
	st.signed[tree.N] = tree.Hash
	st.texts[tree.N] = text
}

// some returns up to n IDs of acknowledged events whose content is known.
func (st *story) some(n int) []string {
	var ids []string
	for id := range st.bodies { // in no order
		if ids = append(ids, id); len(ids) == n {
			break
		}
	}
	return ids
}

// retry sends again what had no answer: it must be recorded now, and once. had
// says where the log had these events before.
func (st *story) retry(t *testing.T, s *service, had map[string]stored) {
	t.Helper()
	size := s.size(t, st.key)
	for _, sub := range st.unknown {
		if there(had, sub) > 0 {
			st.kept++
		} else {
			st.dropped++
		}
		for again := range 2 {
			all, a, err := s.submit(st.key, sub.events)
			if err != nil || all == nil {
				t.Fatalf("retry: %v, status %d: %s", err, a.status, a.body)
			}
			if want := status(again > 0 || there(had, sub) > 0); a.status != want {
				t.Errorf("retry %d of %d events: status %d, want %d: %s", again, len(sub.events), a.status, want, a.body)
			}
			for i, e := range sub.events {
				st.judgeRetry(t, gen.ID(e), all[i], had, again > 0, size)
			}
			st.promised(sub, all)
		}
	}
	st.unknown = nil
}

// status is what a submission is answered with, whose events were there or not.
func status(there bool) int {
	if there {
		return http.StatusOK
	}
	return http.StatusCreated
}

// there counts the events of a submission that the log has.
func there(had map[string]stored, sub submission) int {
	n := 0
	for _, e := range sub.events {
		if _, ok := had[gen.ID(e)]; ok {
			n++
		}
	}
	return n
}

// judgeRetry checks the answer to an event that was sent again.
func (st *story) judgeRetry(t *testing.T, id string, got accepted, had map[string]stored, again bool, size int64) {
	t.Helper()
	before, known := had[id]
	switch {
	case known && (got.Seq != before.Seq || string(got.Commitment[:]) != string(before.Commitment)):
		t.Errorf("retry of event %s, which is at %d, was answered with %d", id, before.Seq, got.Seq)
	case known != got.Duplicate && !again:
		t.Errorf("retry of event %s: duplicate is %t, and the log had it: %t", id, got.Duplicate, known)
	case !got.Duplicate && again:
		t.Errorf("second retry of event %s was recorded again, at %d", id, got.Seq)
	case !known && got.Seq < size:
		t.Errorf("retry of event %s, which the log did not have, was answered with %d of %d", id, got.Seq, size)
	}
}
