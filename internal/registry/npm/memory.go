package npm

import (
	"container/list"
	"sync"
	"time"
)

// A memory remembers a bounded number of things for a bounded time. When it is
// full it forgets what was used least recently.
type memory[K comparable, V any] struct {
	size int
	life time.Duration

	mu    sync.Mutex
	byKey map[K]*list.Element
	order list.List // of *remembered[K, V], used most recently first
}

type remembered[K comparable, V any] struct {
	key   K
	value V
	until time.Time
}

func newMemory[K comparable, V any](size int, life time.Duration) *memory[K, V] {
	return &memory[K, V]{size: size, life: life, byKey: make(map[K]*list.Element)}
}

// put remembers value.
func (m *memory[K, V]) put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
	if m.order.Len() == m.size {
		m.drop(m.order.Back().Value.(*remembered[K, V]).key)
	}
	m.byKey[key] = m.order.PushFront(&remembered[K, V]{key, value, time.Now().Add(m.life)})
}

// get returns what is remembered.
func (m *memory[K, V]) get(key K) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byKey[key]
	if !ok {
		return value, false
	}
	r := e.Value.(*remembered[K, V])
	if time.Now().After(r.until) {
		m.drop(key)
		return value, false
	}
	m.order.MoveToFront(e)
	return r.value, true
}

// forget drops what is remembered.
func (m *memory[K, V]) forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
}

// drop needs mu.
func (m *memory[K, V]) drop(key K) {
	if e, ok := m.byKey[key]; ok {
		m.order.Remove(e)
		delete(m.byKey, key)
	}
}
