// Package event defines what the audit log is about: what somebody did, or
// tried to do, in a package registry. It holds the three forms an event has
// and the ways between them:
//
//	JSON  what sources send and readers get             Parse, Event
//	Fields  typed, named values in one order            what is committed to
//	record  fields and secrets as bytes                 what the journal keeps
//
// The fields, their digests, the commitment and the record are frozen formats:
// see docs/format/event.md and docs/format/record.md. A change to one of them
// is a new version, never an edit.
package event

import "time"

// Limits of one event. They are part of the format, not configuration: they
// bound what one submission can cost every later reader of the log.
const (
	MaxJSONBytes      = 64 << 10 // 64 KiB, one event as JSON
	MaxFields         = 256      // fields of one event, those added by the log included
	MaxNameBytes      = 255      // name of one field, in bytes of UTF-8
	MaxIDBytes        = 255      // id, in bytes of UTF-8
	MaxTextBytes      = 16 << 10 // 16 KiB, any one string value
	MaxDepth          = 16       // nesting of a JSON value
	MaxSubjects       = 32
	MaxChanges        = 32
	MaxMetadata       = 64 // keys of metadata
	MaxTagBytes       = 100
	maxMetadataKey    = 100 // bytes of one key of metadata
	fieldsAddedByLog  = 4   // received, source, trust, seen by the log
	maxFieldsAccepted = MaxFields - fieldsAddedByLog
)

// An Outcome says how what the event is about ended.
type Outcome string

// The outcomes.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
	Denied  Outcome = "denied"
	Unknown Outcome = "unknown" // the answer was lost; a later event may settle it
)

// A Trust says how the log came to know of an event.
type Trust string

// The kinds of trust.
const (
	Witnessed Trust = "witnessed" // received when it happened
	Imported  Trust = "imported"  // history that was loaded later
)

// An Event is one thing somebody did. The zero value of every member means
// "not said" and is left out of the JSON.
//
// An Event is the convenient form: its JSON is what [Parse] reads, and Parse is
// where all checking is done.
type Event struct {
	// ID is chosen by the source and unique within it. Submitting the same ID
	// again records nothing new, so a source may retry for ever. UUIDv7 is
	// recommended.
	ID string `json:"id"`

	// Tag is the kind of event, "class:subject:verb" in lower case, for example
	// "project:release:add". See [Tag].
	Tag string `json:"tag"`

	// Time is when it happened by the source's clock. It is kept to the
	// microsecond, in UTC.
	Time time.Time `json:"time"`

	Outcome    Outcome    `json:"outcome,omitempty"`
	Actor      Party      `json:"actor"`
	OnBehalfOf Party      `json:"on_behalf_of,omitzero"` // whom the actor acted for
	Credential Credential `json:"credential,omitzero"`
	OIDC       OIDC       `json:"oidc,omitzero"`
	Subjects   []Subject  `json:"subjects,omitempty"`
	Context    Context    `json:"context,omitzero"`
	Changes    []Change   `json:"changes,omitempty"`

	// Metadata is typed by the catalogue. Values are strings, whole numbers and
	// booleans, or anything [encoding/json] can encode.
	Metadata map[string]any `json:"metadata,omitempty"`

	Reason         string `json:"reason,omitempty"`          // fit for whoever may see the event
	ReasonInternal string `json:"reason_internal,omitempty"` // for the registry's administrators

	// SourceSeq is the source's own count of the events it sent, from 1. With
	// it the log notices when one is missing.
	SourceSeq int64 `json:"source_seq,omitempty"`

	// The log adds these; a source that sends them is refused.
	Source   string    `json:"source,omitempty"` // the program that submitted the event
	Received time.Time `json:"received,omitzero"`
	Trust    Trust     `json:"trust,omitempty"`
}

// A Party is somebody, or something, that acts.
type Party struct {
	Type string `json:"type,omitempty"` // one of [PartyTypes]
	ID   string `json:"id,omitempty"`   // stable; a reused name has another ID
	Name string `json:"name,omitempty"` // as it was at that time
}

// PartyTypes are the values of [Party].Type.
var PartyTypes = []string{"user", "token", "trusted_publisher", "service", "admin", "system", "anonymous"}

// A Credential is what the actor showed to be let in.
type Credential struct {
	Kind    string `json:"kind,omitempty"` // one of [CredentialKinds]
	ID      string `json:"id,omitempty"`   // never the secret; for example a token's public ID or keyed hash
	Name    string `json:"name,omitempty"`
	MFA     string `json:"mfa,omitempty"`     // the second factor used, for example "totp"; "none" when there was none
	Session string `json:"session,omitempty"` // the session in which the credential was used
}

// CredentialKinds are the values of [Credential].Kind.
var CredentialKinds = []string{"session", "token", "oidc", "password", "none"}

// An OIDC says which workload a trusted publisher was.
type OIDC struct {
	Issuer      string `json:"issuer,omitempty"`
	Subject     string `json:"subject,omitempty"`
	Repository  string `json:"repository,omitempty"`
	WorkflowRef string `json:"workflow_ref,omitempty"`
	Ref         string `json:"ref,omitempty"`
	SHA         string `json:"sha,omitempty"`
	RunID       string `json:"run_id,omitempty"`
	Environment string `json:"environment,omitempty"`
}

// A Subject is something the event is about. One event belongs to the
// histories of all its subjects.
type Subject struct {
	Type    string `json:"type,omitempty"`    // "user", "project", "version", "file", "org", "team", "token" or another word
	ID      string `json:"id,omitempty"`      // stable
	Name    string `json:"name,omitempty"`    // as it was at that time
	Version string `json:"version,omitempty"` // of a version or file
	Role    string `json:"role,omitempty"`    // what part it played, for example "target"
}

// A Context says how the act reached the registry.
type Context struct {
	IP        string `json:"ip,omitempty"` // an address without port or zone
	UserAgent string `json:"user_agent,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	TraceID   string `json:"trace_id,omitempty"`
	Origin    string `json:"origin,omitempty"` // one of [Origins]
}

// Origins are the values of [Context].Origin.
var Origins = []string{"web", "api", "cli", "upload", "cron", "import"}

// A Change is one value that became another. Old and New are a string, a whole
// number, a boolean, or anything [encoding/json] can encode; nil is "not said".
type Change struct {
	Field string `json:"field"`
	Old   any    `json:"old,omitempty"`
	New   any    `json:"new,omitempty"`
}
