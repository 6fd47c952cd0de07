package disk

import (
	"maps"
	"slices"
	"strings"
)

func (m *Mem) subdirs() ([]string, error) { return m.top().subdirs() }

func (d *memDir) subdirs() ([]string, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	var names []string
	for path := range maps.Keys(d.m.dirs) {
		if name, ok := strings.CutPrefix(path, d.path); ok && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
