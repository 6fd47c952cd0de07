package disk

import (
	"maps"
	"slices"
)

// How a Mem tears what was not synced.
const (
	sectorBytes = 512 // what a real disk writes whole or not at all
	maxTears    = 64  // questions about one file; longer writes are torn in runs of sectors
)

// Crash returns the disk that a restarted process finds. What was synced is
// there. About the rest it asks keep, whose answer is between 0 and n:
//
//   - for each name created, removed or renamed since its directory was
//     synced, keep(1): 0 means it was not;
//   - for each file cut since it was synced, keep(1): 0 means it was not, and
//     what was written since is lost;
//   - for each file, keep(n): how many of the n bytes written since its last
//     sync are there; then, for each sector among them, keep(1): 0 means that
//     it holds zeros instead.
//
// So func(int) int { return 0 } loses all that may be lost, and
// func(n int) int { return n } loses nothing, as a kill does. The old disk
// stays as it is: a process that does not know it is dead may go on with it.
func (m *Mem) Crash(keep func(n int) int) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := maps.Clone(m.durable)
	if names == nil {
		names = make(map[string]*memNode)
	}
	for _, c := range m.pending {
		if keep(1) == 1 {
			c.apply(names)
		}
	}
	after := &Mem{
		names:   make(map[string]*memNode),
		durable: make(map[string]*memNode),
		dirs:    maps.Clone(m.dirs),
		limit:   m.limit,
	}
	for _, path := range slices.Sorted(maps.Keys(names)) {
		node := names[path].crash(keep)
		after.names[path], after.durable[path] = node, node
		after.used += int64(len(node.data))
	}
	return after
}

// crash returns what is left of the file.
func (n *memNode) crash(keep func(n int) int) *memNode {
	if n.before != nil && keep(1) == 0 {
		return &memNode{data: slices.Clone(n.before), synced: len(n.before)}
	}
	end := n.synced + keep(len(n.data)-n.synced)
	data := slices.Clone(n.data[:end])
	tear(data, n.synced, keep)
	return &memNode{data: data, synced: end}
}

// tear asks for each sector of data[from:] whether it was written.
func tear(data []byte, from int, keep func(n int) int) {
	sectors := (len(data)-1)/sectorBytes - from/sectorBytes + 1
	run := sectorBytes * ((sectors + maxTears - 1) / maxTears)
	for from < len(data) {
		end := min((from/sectorBytes)*sectorBytes+run, len(data))
		if keep(1) == 0 {
			clear(data[from:end])
		}
		from = end
	}
}
