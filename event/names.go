package event

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// The names below have codes in the record. Their order is frozen: a new name
// goes to the end of its list. See docs/format/record.md.
var (
	// scalarNames[i] has code i+1.
	scalarNames = []string{
		"id", "tag", "time", "outcome", "reason", "reason_internal",
		"actor.type", "actor.id", "actor.name",
		"on_behalf_of.type", "on_behalf_of.id", "on_behalf_of.name",
		"credential.kind", "credential.id", "credential.name", "credential.mfa", "credential.session",
		"oidc.issuer", "oidc.subject", "oidc.repository", "oidc.workflow_ref", "oidc.ref", "oidc.sha", "oidc.run_id", "oidc.environment",
		"context.ip", "context.user_agent", "context.request_id", "context.trace_id", "context.origin",
		"source_seq", "received", "source", "trust",
	}
	// subjects.N.subjectMembers[k] has code subjectCode + 8*N + k.
	subjectMembers = []string{"type", "id", "name", "version", "role"}
	// changes.N.changeMembers[k] has code ChangeCode + 4*N + k.
	changeMembers = []string{"field", "old", "new"}
)

// Codes of names, see [Field.Code].
const (
	literalCode  = 0 // the name follows in full
	MetadataCode = 63
	subjectCode  = 64
	ChangeCode   = subjectCode + 8*MaxSubjects
	CodeLimit    = ChangeCode + 4*MaxChanges

	metadataPrefix = "metadata."
)

// A nameTable holds what is derived from the lists above.
type nameTable struct {
	byCode [CodeLimit]string // "" where there is no such code
	codes  map[string]int
	ranks  [CodeLimit]int // place in bytewise order, from 1, with metadata as one place
}

var table = newNameTable()

func newNameTable() *nameTable {
	t := &nameTable{codes: make(map[string]int)}
	for i, name := range scalarNames {
		t.byCode[i+1] = name
	}
	for n := range MaxSubjects {
		for k, member := range subjectMembers {
			t.byCode[subjectCode+8*n+k] = fmt.Sprintf("subjects.%d.%s", n, member)
		}
	}
	for n := range MaxChanges {
		for k, member := range changeMembers {
			t.byCode[ChangeCode+4*n+k] = fmt.Sprintf("changes.%d.%s", n, member)
		}
	}
	for code, name := range t.byCode {
		if name != "" {
			t.codes[name] = code
		}
	}
	for i, name := range namesInOrder() {
		// Two apart, so that a name without a code has a place between.
		t.ranks[t.codes[name]] = 2*i + 2
	}
	t.ranks[MetadataCode] = t.between(metadataPrefix)
	return t
}

// between returns the rank of a name that has no code: one more than that of
// the last name before it.
func (t *nameTable) between(name string) int {
	rank := 1
	for other, code := range t.codes {
		if other < name {
			rank = max(rank, t.ranks[code]+1)
		}
	}
	return rank
}

// rankOf returns a number that orders names as bytewise comparison does; equal
// ranks are to be compared as strings.
func rankOf(name string) int {
	if code, ok := table.codes[name]; ok {
		return table.ranks[code]
	}
	if strings.HasPrefix(name, metadataPrefix) {
		return table.ranks[MetadataCode]
	}
	return table.between(name)
}

// NameOf returns the name with the given code, or "" if there is none.
func NameOf(code int) string {
	if code < 0 || code >= CodeLimit {
		return ""
	}
	return table.byCode[code]
}

// CodeOf returns the code of name, see [Field.Code].
func CodeOf(name string) int {
	if code, ok := table.codes[name]; ok {
		return code
	}
	if len(name) > len(metadataPrefix) && strings.HasPrefix(name, metadataPrefix) {
		return MetadataCode
	}
	return literalCode
}

// A nameCache holds names of members of metadata, by what follows the prefix: one
// string for all records that are decoded. It may be used concurrently.
type nameCache struct {
	names atomic.Pointer[map[string]string] // replaced, never changed
	mu    sync.Mutex                        // held by who replaces it
}

// maxCachedNames is many more than the catalogue has. Names beyond it are made
// anew each time.
const maxCachedNames = 1024

var metadataNames nameCache

func (c *nameCache) find(rest []byte) (name string, ok bool) {
	names := c.names.Load()
	if names == nil {
		return "", false
	}
	name, ok = (*names)[string(rest)]
	return name, ok
}

func (c *nameCache) add(name string) {
	if names := c.names.Load(); names != nil && len(*names) >= maxCachedNames {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var names map[string]string
	if old := c.names.Load(); old != nil {
		if len(*old) >= maxCachedNames {
			return
		}
		names = maps.Clone(*old)
	} else {
		names = make(map[string]string)
	}
	names[name[len(metadataPrefix):]] = name
	c.names.Store(&names)
}
