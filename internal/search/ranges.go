package search

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
)

// An address has a list of the records that have it.
type address struct {
	ip   [16]byte
	list uint32
}

// maxUnsorted is how many addresses are looked at one by one.
const maxUnsorted = 1024

// addresses keeps addresses in order, so that a range of them is found without
// looking at all. It is brought up to date when somebody asks.
type addresses struct {
	mu     sync.Mutex
	sorted []address // the first of those seen, in order of ip
}

// within returns the lists of the addresses among seen from first to last.
// seen must begin with what it held at every earlier call.
func (a *addresses) within(seen []address, first, last []byte) []uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(seen)-len(a.sorted) > maxUnsorted {
		a.merge(seen[len(a.sorted):])
	}
	var lists []uint32
	from, _ := slices.BinarySearchFunc(a.sorted, first, func(x address, ip []byte) int { return bytes.Compare(x.ip[:], ip) })
	for i := from; i < len(a.sorted) && bytes.Compare(a.sorted[i].ip[:], last) <= 0; i++ {
		lists = append(lists, a.sorted[i].list)
	}
	for i := len(a.sorted); i < len(seen); i++ {
		if ip := seen[i].ip[:]; bytes.Compare(ip, first) >= 0 && bytes.Compare(ip, last) <= 0 {
			lists = append(lists, seen[i].list)
		}
	}
	return lists
}

// merge sorts in addresses that are not among the sorted ones.
func (a *addresses) merge(fresh []address) {
	order := func(x, y address) int {
		return cmp.Or(bytes.Compare(x.ip[:], y.ip[:]), cmp.Compare(x.list, y.list))
	}
	fresh = slices.SortedFunc(slices.Values(fresh), order)
	merged := make([]address, 0, len(a.sorted)+len(fresh))
	old := a.sorted
	for len(old) > 0 && len(fresh) > 0 {
		if order(old[0], fresh[0]) < 0 {
			merged, old = append(merged, old[0]), old[1:]
		} else {
			merged, fresh = append(merged, fresh[0]), fresh[1:]
		}
	}
	a.sorted = append(append(merged, old...), fresh...)
}
