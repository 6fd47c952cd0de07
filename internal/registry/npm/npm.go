// Package npm decodes what npm and its relatives say to a registry.
//
// # Promises
//
//   - A request gives the events that it caused, decided by its path, its body
//     and the state of the package before, never by what the client says that
//     its command was.
//   - A question for a one-time password is no event; the request that is
//     repeated with one is.
//   - What the registry accepted and we could not read or do not know is an
//     event that says so.
//   - No password, one-time password, token, recovery code or e-mail address is
//     in an event: values go in by name, one by one.
//   - The memory for one exchange is bounded, whatever client and registry send,
//     and so is what is remembered from one exchange to the next.
//
// # The way of an exchange
//
//	Begin        path → row of the table (rows.go) → exchange
//	BeforeBody   what the document was                 packument, Members
//	RequestBody  what the client sends                 packument, Members
//	Response     status, and what the registry says    Members
//	Result       the row's decision                    put.go, account.go, ...
package npm

import (
	"errors"
	"hash/maphash"
	"net/http"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/registry"
)

// Limits on what is remembered from one exchange to the next.
const (
	maxStages    = 4096
	stageLife    = 30 * 24 * time.Hour
	maxPolls     = 4096
	pollLife     = 15 * time.Minute
	maxIDBytes   = 128 // of what registries call stages and trust relations
	maxTokenID   = 128
	minTokenID   = 32
	maxSegments  = 12 // of a path
	maxEvents    = 16 // that one exchange gives, of one kind
	maxSubjects  = 32 // as in package event
	maxListItems = 32 // of a list in metadata
	maxListBytes = 4 << 10
	maxIDText    = 8 << 10 // bytes of the IDs of all subjects of an event
)

// Options say which registry it is.
type Options struct {
	// Repository is the address of the registry as it is to stand in package
	// URLs. Empty stands for the usual registry: a package is then the same
	// whichever proxy saw it.
	Repository string
}

// A Protocol decodes exchanges with one npm registry. Its methods may be called
// concurrently.
type Protocol struct {
	opts   Options
	rows   []*row
	seed   maphash.Seed
	stages *memory[string, release] // by the ID of the stage
	polls  *memory[uint64, purpose] // by the hash of the last words of a doneUrl
}

var _ registry.Protocol = (*Protocol)(nil)

// New returns the protocol of a registry.
func New(opts Options) *Protocol {
	return &Protocol{
		opts:   opts,
		rows:   table(),
		seed:   maphash.MakeSeed(),
		stages: newMemory[string, release](maxStages, stageLife),
		polls:  newMemory[uint64, purpose](maxPolls, pollLife),
	}
}

// Name returns "npm".
func (*Protocol) Name() string { return "npm" }

// Begin returns the exchange that r starts.
func (p *Protocol) Begin(r *registry.Request) (registry.Exchange, error) {
	words, err := registry.Segments(r.Path)
	if err != nil {
		return nil, withoutSecret(err)
	}
	row, at, err := p.find(r.Method, words)
	if err != nil {
		return nil, withoutSecret(&registry.PathError{Path: r.Path, Reason: err.Error()})
	}
	if row == nil {
		row = p.unlisted(r, words)
	}
	if row == nil {
		return nil, nil
	}
	return newExchange(p, row, at, words, r), nil
}

// withoutSecret takes the path out of a *PathError if it may hold a token.
func withoutSecret(err error) error {
	e, ok := errors.AsType[*registry.PathError](err)
	if !ok {
		return err
	}
	const word = "token"
	for i := range len(e.Path) - len(word) {
		if strings.EqualFold(e.Path[i:i+len(word)], word) {
			return &registry.PathError{Path: e.Path[:i] + word + "/…", Reason: e.Reason}
		}
	}
	return err
}

// unlisted returns the row for a request that no row was made for: it may poll
// for the end of a sign-in, at an address that the registry chose, or change
// something in a way that we do not know.
func (p *Protocol) unlisted(r *registry.Request, words []string) *row {
	if len(words) > 0 && words[0] == "-" {
		if _, known := p.polls.get(p.pollKey(words[len(words)-1], r.Query)); known {
			return pollRow
		}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return nil
	}
	if harmless(words) {
		return nil
	}
	return unknownRow
}

// harmless reports whether a request of any method to this path only asks.
func harmless(words []string) bool {
	return len(words) >= 4 && words[0] == "-" && strings.EqualFold(words[1], "npm") &&
		strings.EqualFold(words[2], "v1") && strings.EqualFold(words[3], "security")
}

// pollKey stands for a doneUrl: its last word and its query, which the proxy
// sees the same whatever stands before them.
func (p *Protocol) pollKey(last, query string) uint64 {
	return maphash.String(p.seed, last+"?"+query)
}
