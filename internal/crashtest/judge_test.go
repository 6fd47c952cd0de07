package crashtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/gen"
	"github.com/custody-log/custody/proof"
)

// samples is how many events are looked at one by one after each life.
const samples = 10

// judge looks whether a service that was started again keeps all promises that
// were made before it was killed, and gives answers to what had none.
func (st *story) judge(t *testing.T, s *service) {
	t.Helper()
	size := s.size(t, st.key)
	list := s.all(t, st.key, size)
	had := st.judgeEvents(t, list)
	st.judgeRoots(t, list)
	st.judgeGrowth(t, s)
	st.judgeSamples(t, s)
	st.retry(t, s, had)
}

// judgeEvents checks that the log has every event once, those that were
// acknowledged where they were, and batches whole or not at all. It returns the
// events by ID.
func (st *story) judgeEvents(t *testing.T, list []stored) map[string]stored {
	t.Helper()
	had := make(map[string]stored, len(list))
	for i, e := range list {
		if e.Seq != int64(i) {
			t.Fatalf("event %d comes after event %d", e.Seq, i-1)
		}
		if e.Source != source {
			continue // the log's own
		}
		if before, ok := had[e.ID]; ok {
			t.Errorf("event %s is there twice, at %d and %d", e.ID, before.Seq, e.Seq)
		}
		had[e.ID] = e
	}
	missing := 0
	for id, p := range st.acked {
		e, ok := had[id]
		switch {
		case !ok:
			missing++
			if missing <= samples {
				t.Errorf("event %s was acknowledged at %d and is not there", id, p.seq)
			}
		case e.Seq != p.seq || !bytes.Equal(e.Commitment, p.commitment[:]):
			t.Errorf("event %s was acknowledged at %d (%x) and is at %d (%x)", id, p.seq, p.commitment, e.Seq, e.Commitment)
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d acknowledged events are not there", missing, len(st.acked))
	}
	for _, sub := range st.unknown {
		if n := there(had, sub); n != 0 && n != len(sub.events) {
			t.Errorf("%d events of a batch of %d are there", n, len(sub.events))
		} else if n > 1 && had[gen.ID(sub.events[n-1])].Seq != had[gen.ID(sub.events[0])].Seq+int64(n)-1 {
			t.Errorf("the events of a batch do not stand side by side")
		}
	}
	return had
}

// judgeRoots checks that every checkpoint that was ever shown is of the events
// that are there now.
func (st *story) judgeRoots(t *testing.T, list []stored) {
	t.Helper()
	var peaks []tlog.Hash // of the perfect trees that the events so far make, largest first
	for n, e := range list {
		entry := event.Commitment(e.Commitment).Entry()
		peaks = append(peaks, tlog.RecordHash(entry[:]))
		for size := n + 1; size%2 == 0; size /= 2 {
			last := len(peaks) - 1
			peaks = append(peaks[:last-1], tlog.NodeHash(peaks[last-1], peaks[last]))
		}
		want, ok := st.signed[int64(n)+1]
		if !ok {
			continue
		}
		root := peaks[len(peaks)-1]
		for _, peak := range slices.Backward(peaks[:len(peaks)-1]) {
			root = tlog.NodeHash(peak, root)
		}
		if root != want {
			t.Errorf("the root signed for %d events is %v, and they give %v", n+1, want, root)
		}
	}
	for size := range st.signed {
		if size > int64(len(list)) {
			t.Errorf("a checkpoint was signed for %d events, and there are %d", size, len(list))
		}
	}
}

// judgeGrowth checks with the service's own evidence that its tree is that of
// the checkpoints before, grown.
func (st *story) judgeGrowth(t *testing.T, s *service) {
	t.Helper()
	var (
		now  tlog.Tree
		text []byte
		err  error
	)
	until(t, "there is a checkpoint", func() bool {
		now, text, err = s.checkpoint(st.key)
		return !errors.Is(err, errNotYet)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.OpenCheckpoint(text, st.policy); err != nil {
		t.Errorf("checkpoint after the restart: %v", err)
	}
	var last int64
	for size := range st.signed {
		last = max(last, size)
	}
	defer st.saw(now, text)
	if last == 0 {
		return // killed before anybody saw one of any events
	}
	if now.N < last {
		t.Errorf("the checkpoint after the restart is of %d events, one before was of %d", now.N, last)
	}
	if _, err := proof.OpenCheckpoint(st.texts[last], st.policy); err != nil {
		t.Errorf("checkpoint before the restart: %v", err)
	}
	var answer struct {
		Proof [][]byte `json:"proof"`
	}
	s.get(t, st.key, fmt.Sprintf("/v1/consistency?from=%d&to=%d", last, now.N), &answer)
	var path tlog.TreeProof
	for _, h := range answer.Proof {
		path = append(path, tlog.Hash(h))
	}
	if err := proof.CheckConsistency(tlog.Tree{N: last, Hash: st.signed[last]}, now, path); err != nil {
		t.Error(err)
	}
}

// judgeSamples checks some acknowledged events through every door: by position,
// by receipt, by sending them again, and by sending others under their IDs.
func (st *story) judgeSamples(t *testing.T, s *service) {
	t.Helper()
	for _, id := range st.some(samples) {
		p, body := st.acked[id], st.bodies[id]
		var e stored
		s.get(t, st.key, fmt.Sprintf("/v1/events/%d", p.seq), &e)
		if e.ID != id || !bytes.Equal(e.Commitment, p.commitment[:]) {
			t.Errorf("event %d is %s (%x), want %s (%x)", p.seq, e.ID, e.Commitment, id, p.commitment)
		}
		var text []byte
		s.get(t, st.key, fmt.Sprintf("/v1/events/%d/receipt?wait=20s", p.seq), &text)
		receipt, err := proof.ParseReceipt(text)
		if err != nil {
			t.Errorf("receipt of event %d: %v", p.seq, err)
			continue
		}
		verified, err := receipt.Verify(st.policy)
		if err != nil {
			t.Errorf("receipt of event %d: %v", p.seq, err)
			continue
		}
		if verified.Seq != p.seq || verified.Commitment != p.commitment || verified.Fields.Text("id") != id {
			t.Errorf("the receipt of event %d (%s) is of event %d (%s)", p.seq, id, verified.Seq, verified.Fields.Text("id"))
		}
		all, a, err := s.submit(st.key, [][]byte{body})
		if err != nil || a.status != http.StatusOK || !all[0].Duplicate || all[0].Seq != p.seq || all[0].Commitment != p.commitment {
			t.Errorf("event %d sent again: %v, status %d: %s", p.seq, err, a.status, a.body)
		}
		other := append(bytes.TrimSuffix(bytes.Clone(body), []byte("}")), `,"reason":"another event"}`...)
		if _, a, err := s.submit(st.key, [][]byte{other}); err != nil || a.status != http.StatusConflict {
			t.Errorf("another event under the ID of event %d: %v, status %d: %s", p.seq, err, a.status, a.body)
		}
	}
}
