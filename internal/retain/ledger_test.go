package retain_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/retain"
)

func openLedger(t rapid.TB, fs disk.FS) *retain.Ledger {
	t.Helper()
	l, err := retain.OpenLedger(fs)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func erase(t rapid.TB, body []byte, gone []int) []byte {
	t.Helper()
	changed, err := event.Erase(body, func(i int, _ *event.StoredField) bool { return slices.Contains(gone, i) })
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

var one = retain.Person{Type: "user", ID: "u1", Name: "somebody"}

func request(t rapid.TB, l *retain.Ledger, p retain.Person) retain.Erasure {
	t.Helper()
	e, fresh, err := l.Request(p, "k1", "asked by mail", noon)
	if err != nil || !fresh {
		t.Fatalf("Request = %v, %v", fresh, err)
	}
	return e
}

// TestErasure follows an erasure from the request to its end.
func TestErasure(t *testing.T) {
	m := new(disk.Mem)
	l := openLedger(t, m)
	e := request(t, l, one)
	if again, fresh, err := l.Request(one, "k2", "", noon); fresh || err != nil || again.ID != e.ID {
		t.Errorf("a second request of the same person = %s, %v, %v, want %s", again.ID, fresh, err, e.ID)
	}
	touches := []retain.Touch{
		{Seq: 5, Fields: []int{0, 1, 7}, Slots: []retain.Slot{retain.Actor}},
		{Seq: 1 << 20, Fields: []int{9, 255}, Slots: []retain.Slot{retain.FirstSubject + 31}},
	}
	if err := l.Take(e.ID, touches[:1]); err != nil {
		t.Fatal(err)
	}
	if err := l.Take(e.ID, touches); err != nil { // the same again, as after a crash
		t.Fatal(err)
	}
	done, err := l.Finish(e.ID, nil, noon.AddDate(0, 0, 1))
	if err != nil || done.State != retain.Done || done.Records != 2 || done.Fields != 5 || done.Pseudonym != e.Pseudonym {
		t.Errorf("Finish = %+v, %v, want 5 fields of 2 records", done, err)
	}
	for _, opened := range []*retain.Ledger{l, openLedger(t, m)} {
		if got, ok := opened.Get(e.ID); !ok || !cmp.Equal(got, done) {
			t.Errorf("Get = %+v, want %+v", got, done)
		}
		if diff := cmp.Diff(touches, slices.Collect(opened.Entries(0))); diff != "" {
			t.Errorf("Entries (-want +got):\n%s", diff)
		}
		if got := slices.Collect(opened.Entries(6)); len(got) != 1 || got[0].Seq != 1<<20 {
			t.Errorf("Entries from 6 = %v, want the last", got)
		}
		want := map[retain.Slot][]int64{retain.Actor: {5}, retain.FirstSubject + 31: {1 << 20}}
		if diff := cmp.Diff(want, opened.Pseudonymous(e.Pseudonym)); diff != "" {
			t.Errorf("Pseudonymous (-want +got):\n%s", diff)
		}
		if err := opened.Take(e.ID, touches); err == nil {
			t.Error("an erasure that has ended takes more")
		}
	}
}

// TestPseudonyms checks who stands in whose place. Were two people shown as one,
// or one as another, the history would accuse somebody of what another did.
func TestPseudonyms(t *testing.T) {
	m := new(disk.Mem)
	l := openLedger(t, m)
	var names []string
	for i := range 3 {
		e := request(t, l, retain.Person{Type: "user", ID: fmt.Sprint(i)})
		names = append(names, e.Pseudonym)
		touch := retain.Touch{Seq: 7, Fields: []int{i}, Slots: []retain.Slot{retain.Slot(i)}}
		if err := l.Take(e.ID, []retain.Touch{touch, {Seq: int64(10 + i), Fields: []int{0}, Slots: []retain.Slot{retain.Actor}}}); err != nil {
			t.Fatal(err)
		}
		if got, _ := l.PseudonymOf(int64(10+i), retain.Actor); got != e.Pseudonym {
			t.Errorf("PseudonymOf right after it was taken = %q, want %q", got, e.Pseudonym)
		}
	}
	for _, opened := range []*retain.Ledger{l, openLedger(t, m)} {
		for i, name := range names {
			for seq, slot := range map[int64]retain.Slot{7: retain.Slot(i), int64(10 + i): retain.Actor} {
				if got, ok := opened.PseudonymOf(seq, slot); !ok || got != name {
					t.Errorf("PseudonymOf(%d, %v) = %q, %v, want %q", seq, slot, got, ok, name)
				}
			}
		}
		for seq, slot := range map[int64]retain.Slot{8: retain.Actor, 10: retain.OnBehalfOf, 7: 3, -1: 0, retain.MaxSeq + 1: 0, 1<<32 + 7: 0} {
			if got, ok := opened.PseudonymOf(seq, slot); ok {
				t.Errorf("PseudonymOf(%d, %v) = %q, want nobody", seq, slot, got)
			}
		}
		if got := opened.Pseudonymous("erased-nobody"); got != nil {
			t.Errorf("Pseudonymous of nobody = %v", got)
		}
	}
	again := request(t, l, retain.Person{Type: "user", ID: "9"})
	if _, err := l.Finish(again.ID, nil, noon); err != nil {
		t.Fatal(err)
	}
	if twice := request(t, l, retain.Person{Type: "user", ID: "9"}); twice.Pseudonym == again.Pseudonym {
		t.Error("somebody who is erased twice has one pseudonym: it can be told whose it was")
	}
}

// TestLedgerForgetsThePerson checks that at the end nothing says who it was, and
// that until then the work can go on after a restart.
func TestLedgerForgetsThePerson(t *testing.T) {
	for name, end := range map[string]func(*retain.Ledger, string) error{
		"done":   func(l *retain.Ledger, id string) error { _, err := l.Finish(id, nil, noon); return err },
		"denied": func(l *retain.Ledger, id string) error { _, err := l.Deny(id, noon); return err },
	} {
		t.Run(name, func(t *testing.T) {
			m := new(disk.Mem)
			l := openLedger(t, m)
			id := request(t, l, one).ID
			held, err := l.Finish(id, []retain.Kept{{Hold: "hold-1", Records: 3}}, noon)
			if err != nil || held.State != retain.Held || held.Person == nil {
				t.Fatalf("Finish with something held = %+v, %v", held, err)
			}
			l = openLedger(t, m)
			if p := l.Pending(); len(p) != 1 || *p[0].Person != one || p[0].Kept[0].Records != 3 {
				t.Fatalf("after a restart %+v is pending, want the erasure of %v", p, one)
			}
			if err := end(l, id); err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"u1", "somebody", "k1", "asked by mail"} {
				if holds(t, m, text) {
					t.Errorf("the ledger still says %q", text)
				}
			}
			if p := openLedger(t, m).Pending(); len(p) != 0 {
				t.Errorf("%+v is still pending", p)
			}
		})
	}
}

// TestLedgerRefuses checks what cannot be asked for, or taken.
func TestLedgerRefuses(t *testing.T) {
	l := openLedger(t, new(disk.Mem))
	for _, p := range []retain.Person{{}, {Type: "user"}, {ID: "u1"}, {Type: "user", ID: "\x00"}, {Type: "user", Name: strings.Repeat("a", 1<<15)}} {
		var invalid *retain.InvalidError
		if _, _, err := l.Request(p, "", "", noon); !errors.As(err, &invalid) {
			t.Errorf("Request of %.20v = %v, want it refused", p, err)
		}
	}
	id := request(t, l, one).ID
	for _, touch := range []retain.Touch{
		{Seq: -1}, {Seq: retain.MaxSeq + 1}, {Seq: 1, Fields: []int{256}}, {Seq: 1, Fields: []int{-1}}, {Seq: 1, Slots: []retain.Slot{retain.MaxSlots}},
	} {
		if err := l.Take(id, []retain.Touch{{Seq: 2, Fields: []int{1}}, touch}); err == nil {
			t.Errorf("Take of %v is no error", touch)
		}
	}
	if got := slices.Collect(l.Entries(0)); got != nil {
		t.Errorf("what was refused is in the ledger: %v", got)
	}
	if err := l.Take("none", nil); !errors.Is(err, retain.ErrUnknown) {
		t.Errorf("Take for no erasure = %v, want %v", err, retain.ErrUnknown)
	}
}

// TestLedgerFindsDamage checks that no changed bit, and no file that is missing,
// passes for what was erased: after a restore it decides what is erased again.
func TestLedgerFindsDamage(t *testing.T) {
	m := new(disk.Mem)
	l := openLedger(t, m)
	id := request(t, l, one).ID
	if err := l.Take(id, []retain.Touch{{Seq: 3, Fields: []int{1, 2}, Slots: []retain.Slot{0}}, {Seq: 70000, Fields: []int{2}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Finish(id, nil, noon); err != nil {
		t.Fatal(err)
	}
	data, err := disk.ReadFile(m, id+".bitmap")
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bit := i % 8
		m.Flip(id+".bitmap", int64(i), bit)
		if _, err := retain.OpenLedger(m); err == nil || !strings.Contains(err.Error(), id) {
			t.Errorf("a bit of byte %d was changed: %v", i, err)
		}
		m.Flip(id+".bitmap", int64(i), bit)
	}
	for i := range data {
		if err := disk.ReplaceFile(m, id+".bitmap", data[:i]); err != nil {
			t.Fatal(err)
		}
		if _, err := retain.OpenLedger(m); err == nil {
			t.Errorf("cut to %d bytes it is no error", i)
		}
	}
	for _, name := range []string{id + ".bitmap", id + ".json"} {
		m := m.Crash(func(n int) int { return n })
		if err := disk.ReplaceFile(m, id+".bitmap", data); err != nil {
			t.Fatal(err)
		}
		if err := m.Remove(name); err != nil {
			t.Fatal(err)
		}
		if _, err := retain.OpenLedger(m); err == nil || !strings.Contains(err.Error(), id) {
			t.Errorf("without %s: %v, want an error", name, err)
		}
	}
}

// TestNewerLedgerOverOlder checks that the files of the ledger of today can be
// put over those of a backup: a request that has ended since is not done again.
func TestNewerLedgerOverOlder(t *testing.T) {
	m := new(disk.Mem)
	l := openLedger(t, m)
	e := request(t, l, one)
	backup := m.Crash(func(n int) int { return n })
	if err := l.Take(e.ID, []retain.Touch{{Seq: 3, Fields: []int{1}, Slots: []retain.Slot{0}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Finish(e.ID, nil, noon); err != nil {
		t.Fatal(err)
	}
	names, _ := m.List()
	for _, name := range names {
		data, err := disk.ReadFile(m, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := disk.ReplaceFile(backup, name, data); err != nil {
			t.Fatal(err)
		}
	}
	restored := openLedger(t, backup)
	if got, ok := restored.PseudonymOf(3, retain.Actor); !ok || got != e.Pseudonym || len(restored.Pending()) != 0 {
		t.Errorf("PseudonymOf = %q, %v, and %d are pending, want %q and none", got, ok, len(restored.Pending()), e.Pseudonym)
	}
	if holds(t, backup, "somebody") {
		t.Error("the request of the backup is still there")
	}
}

// records returns what some users did, and one did to another.
func records(t rapid.TB, n int) [][]byte {
	var bodies [][]byte
	for i := range n {
		u, v := i%3, (i+i/3)%3
		bodies = append(bodies, recorded(t, byte(i), &event.Event{
			ID: fmt.Sprintf("e%d", i), Tag: "project:role:grant", Outcome: event.Success,
			Actor:    event.Party{Type: "user", ID: fmt.Sprintf("user-id-%d", u), Name: fmt.Sprintf("user-name-%d", u)},
			Subjects: []event.Subject{{Type: "project", ID: "demo"}, {Type: "user", ID: fmt.Sprintf("user-id-%d", v)}},
			Context:  event.Context{IP: "203.0.113.9", UserAgent: "agent"},
			Metadata: map[string]any{"note": fmt.Sprintf("note %d", i)},
		}))
	}
	return bodies
}

// work does the work of all erasures on bodies, some records at a time, as
// whoever keeps records does.
func work(t rapid.TB, l *retain.Ledger, bodies [][]byte) error {
	const together = 4
	for _, e := range l.Pending() {
		for first := 0; first < len(bodies); first += together {
			some := bodies[first:min(first+together, len(bodies))]
			var touches []retain.Touch
			for i, body := range some {
				numbers, slots := retain.PersonalFields(decode(t, body), *e.Person)
				if numbers != nil {
					touches = append(touches, retain.Touch{Seq: int64(first + i), Fields: numbers, Slots: slots})
				}
			}
			if err := l.Take(e.ID, touches); err != nil {
				return err
			}
			for _, touch := range touches {
				bodies[touch.Seq] = erase(t, bodies[touch.Seq], touch.Fields)
			}
		}
		if _, err := l.Finish(e.ID, nil, noon); err != nil {
			return err
		}
	}
	return nil
}

// TestErasuresSurvivePowerCuts cuts the power again and again while two people
// are erased, until it is done. Then nothing of them is left, every record still
// verifies, each has a pseudonym wherever they stood, and the ledger takes the
// same from a copy of the records as they were before.
func TestErasuresSurvivePowerCuts(t *testing.T) {
	original := records(t, 18)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		bodies := slices.Clone(original)
		l, err := retain.OpenLedger(w.disk)
		if err != nil {
			t.Fatal(err)
		}
		pseudonyms := make(map[int]string)
		for _, u := range []int{0, 2} {
			e, _, err := l.Request(retain.Person{Type: "user", ID: fmt.Sprintf("user-id-%d", u)}, "", "", noon)
			if err != nil {
				t.Fatal(err)
			}
			pseudonyms[u] = e.Pseudonym
		}
		for range 20 {
			w.cutAfter(rapid.IntRange(0, 60).Draw(t, "operations"))
			err := work(t, l, bodies)
			if l, _ = retain.OpenLedger(w.restart()); l == nil {
				t.Fatal("the ledger does not open after a power cut")
			}
			if err == nil {
				break
			}
		}
		if err := work(t, l, bodies); err != nil {
			t.Fatal(err)
		}
		if left, err := w.disk.List(); err != nil || len(left) != 4 {
			t.Errorf("files %v, %v, want an outcome and a bitmap for each", left, err)
		}
		checkErased(t, l, original, bodies, pseudonyms)
	})
}

func checkErased(t *rapid.T, l *retain.Ledger, original, bodies [][]byte, pseudonyms map[int]string) {
	restored := slices.Clone(original)
	for touch := range l.Entries(0) {
		restored[touch.Seq] = erase(t, restored[touch.Seq], touch.Fields)
	}
	for seq, body := range bodies {
		r := decode(t, body)
		if err := r.Verify(); err != nil {
			t.Errorf("record %d: %v", seq, err)
		}
		if !bytes.Equal(restored[seq], body) {
			t.Errorf("record %d: the ledger took something else from a copy", seq)
		}
		for u := range pseudonyms {
			if bytes.Contains(body, fmt.Append(nil, "user-id-", u)) || bytes.Contains(body, fmt.Append(nil, "user-name-", u)) {
				t.Errorf("record %d still names user %d", seq, u)
			}
		}
		before := decode(t, original[seq]).Open().Event()
		for slot, id := range map[retain.Slot]string{retain.Actor: before.Actor.ID, retain.FirstSubject + 1: before.Subjects[1].ID} {
			var u int
			_, _ = fmt.Sscanf(id, "user-id-%d", &u)
			if got, _ := l.PseudonymOf(int64(seq), slot); got != pseudonyms[u] {
				t.Errorf("record %d: %q stands in the place of %s in %v, want %q", seq, got, id, slot, pseudonyms[u])
			}
		}
	}
}

// TestRequestSurvivesPowerCuts checks that a request that was accepted is there
// after a power cut, and that one that was not leaves nobody's name behind.
func TestRequestSurvivesPowerCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		l, err := retain.OpenLedger(w.disk)
		if err != nil {
			t.Fatal(err)
		}
		w.cutAfter(rapid.IntRange(0, 12).Draw(t, "operations"))
		_, _, failed := l.Request(one, "k1", "", noon)
		l, err = retain.OpenLedger(w.restart())
		if err != nil {
			t.Fatalf("after a power cut: %v", err)
		}
		n := len(l.Pending())
		if failed == nil && n != 1 {
			t.Errorf("%d requests after a power cut, want the one that was accepted", n)
		}
		if n == 0 && holds(t, w.disk, "somebody") {
			t.Error("a request that was not accepted left the person's name on the disk")
		}
	})
}
