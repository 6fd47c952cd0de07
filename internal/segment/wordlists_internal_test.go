package segment

import "testing"

// Who chooses words so that they all come into one bucket, and each time into
// another, must not make a table keep the memory of all these times.
func TestWordListsStaySmall(t *testing.T) {
	const each = 10_000
	var l wordLists
	for bucket := range uint32(hashBuckets) {
		for item := range uint32(each) {
			l.add(bucket<<(32-hashBucketBits), item)
		}
		if l.n != each {
			t.Fatalf("%d pairs, want %d", l.n, each)
		}
		for _, b := range l.buckets {
			for _, pair := range b[:cap(b)][len(b):] {
				if pair != 0 {
					t.Fatal("a hash of before is still there")
				}
			}
		}
		l.reset()
	}
	kept := 0
	for _, b := range l.buckets {
		kept += cap(b)
	}
	if kept > 4*each {
		t.Errorf("room for %d pairs is kept, of %d at a time", kept, each)
	}
}
