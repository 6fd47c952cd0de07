package store

import (
	"maps"
	"slices"
	"time"
)

// SetNow makes the store ask now what time it is. It is called before the store
// is used.
func (s *Store) SetNow(now func() time.Time) { s.now = now }

// Files returns the names of the files that the manifest knows, sorted.
func (s *Store) Files() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.manifest.files()))
}
