package intake

import (
	"testing"

	"pgregory.net/rapid"
)

// TestFlight holds the set of events in flight against a map. If it lost one,
// two submissions of one event at once would be recorded twice; if it kept one,
// the event could never be sent again.
func TestFlight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f flight
		want := make(map[uint64]chan struct{})
		for range rapid.IntRange(0, 3000).Draw(t, "steps") {
			// Few low bits, so that many share their way.
			hash := rapid.Uint64Range(0, 40).Draw(t, "hash")<<58 | rapid.Uint64Range(0, 30).Draw(t, "low")
			if want[hash] == nil && rapid.Bool().Draw(t, "put") {
				want[hash] = make(chan struct{})
				f.put(hash, want[hash])
			} else {
				f.remove(hash)
				delete(want, hash)
			}
			if f.get(hash) != want[hash] || f.used != len(want) {
				t.Fatalf("get(%x) = %v, want %v; %d in flight, want %d", hash, f.get(hash), want[hash], f.used, len(want))
			}
		}
		for hash, done := range want {
			if f.get(hash) != done {
				t.Fatalf("get(%x) = %v, want %v", hash, f.get(hash), done)
			}
		}
	})
}
