// Package registry knows what registry clients say on the wire: which request
// means which event, who a credential belongs to, and what must never be kept.
//
// It touches no network. A [Protocol] looks at one exchange as the proxy
// streams it past, and says what happened.
package registry

import (
	"io"
	"net/http"

	"github.com/custody-log/custody/event"
)

// A Class says what the proxy does for an exchange when the log cannot be
// written.
type Class int

// The classes.
const (
	Ignored Class = iota // nothing to record
	Read                 // downloads, whoami: recorded afterwards, never delays anybody
	Auth                 // sign-in, tokens, second factors
	Write                // changes a project, an organisation or a team
)

// A Request is what is known before the body: the request line and the header.
type Request struct {
	Method string
	Path   string // escaped, below the protocol's prefix, starts with "/"
	Query  string // raw
	Header http.Header
}

// A Protocol decodes the exchanges of one kind of registry. Its methods may be
// called concurrently.
type Protocol interface {
	// Name is the package URL type, for example "npm".
	Name() string

	// Begin returns the exchange that r starts, or nil if nothing about it can
	// be worth recording. It returns a [*PathError] when r's path could mean
	// another thing to the registry than to us; the proxy refuses such a request.
	Begin(r *Request) (Exchange, error)
}

// An Exchange is one request and its answer, as far as it has been seen. It is
// used by one goroutine at a time, in the order of its methods.
type Exchange interface {
	// Class says how careful the proxy must be.
	Class() Class

	// Act returns the event as far as it is known from the request line and
	// header: tag, subjects, metadata. The proxy uses it as the intent. Its ID,
	// Time, Actor, Credential, Outcome and Context are the proxy's to fill in.
	Act() *event.Event

	// Before lists paths (with query) of documents that the proxy must GET from
	// the registry, with the client's credential, before it forwards the request,
	// because the event is the difference. For each it writes the decompressed
	// body to what BeforeBody returns; nothing is written when the registry did
	// not answer 200.
	Before() []string
	BeforeBody(path string) io.Writer

	// RequestBody returns where a copy of the (decompressed) request body goes,
	// or nil. The writer never fails and holds a bounded amount of memory.
	RequestBody() io.Writer

	// Response tells the answer's status and header. It returns where a copy of
	// the decompressed answer goes, or nil.
	Response(status int, header http.Header) io.Writer

	// Result says what happened. It is called exactly once, last; without a
	// call to Response before it the answer was lost, and the outcome is unknown.
	Result() Result
}

// A Result is what an exchange turned out to be.
type Result struct {
	// Events are what happened, complete but for ID, Time and Context, which
	// the proxy fills in; and Actor and Credential, which it fills in when they
	// are empty, knowing already what is in Learned. None means that there is
	// nothing to record after all, for example when the registry only asked for
	// a one-time password.
	Events []*event.Event

	// Learned says who credentials belong to.
	Learned []Learned

	// Forgotten are secrets that are no longer valid.
	Forgotten []string
}

// A Learned says who presents a credential. The proxy keeps a keyed hash of
// Secret, never the secret.
type Learned struct {
	Secret string // normalised: without scheme, percent-decoding done
	Caller bool   // it belongs to whoever made the request; User is empty
	Identity
}

// An Identity is what the proxy knows of a credential.
type Identity struct {
	User       string           // empty: not known
	Credential event.Credential // Kind, Name, and what else is known; ID is the proxy's to fill in
	OIDC       event.OIDC       // for the token of a trusted publisher, as claimed by it
	Claimed    bool             // the registry has not confirmed it
}

// A Presented is the credential that a request carries.
type Presented struct {
	Secret  string // normalised; empty when there is none
	Kind    string // as in [event.Credential]
	User    string // the user name of Basic authentication, as claimed
	OTP     bool   // a one-time password came with it; its value is not kept
	Confirm bool   // only a 2xx answer confirms User
}

// A PathError says that a path is not safe to interpret.
type PathError struct {
	Path   string
	Reason string
}

func (e *PathError) Error() string {
	return "registry: path " + e.Path + " " + e.Reason
}
