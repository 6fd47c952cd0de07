package npm

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// An exchange is one request and its answer. What it keeps of them are the
// members that its row asked for.
type exchange struct {
	p      *Protocol
	row    *row
	at     place
	method string
	words  []string // of the path
	query  string
	ranges string // the Range that the client asked for
	shown  registry.Presented
	otp    string // the one-time password; only to be taken out of texts

	beforePath string
	before     *reader
	was        *packument        // what before told of a package
	wasList    *pairs            // of tags, or of members
	old        *registry.Members // of anything else

	body *reader
	doc  *packument        // what the client sent as a package
	list *pairs            // as tags
	sent *registry.Members // as anything else

	answer *reader
	said   *registry.Members // what the registry answered
	status int               // 0: no answer
	auth   string            // WWW-Authenticate, in lower case
}

// A reader skims a document and remembers whether there was one.
type reader struct {
	skim *registry.Skimmer
	some bool
}

func newReader(v registry.Visitor) *reader { return &reader{skim: registry.NewSkimmer(v)} }

// Write never fails.
func (r *reader) Write(p []byte) (int, error) {
	r.some = r.some || len(p) > 0
	return r.skim.Write(p)
}

// whole reports whether there was a whole JSON document.
func (r *reader) whole() bool { return r != nil && r.some && r.skim.Err() == nil }

// commonAnswer is what is kept of every answer: what went wrong, and where the
// client is sent for a second factor.
var commonAnswer = []string{"error", "message", "reason", "success", "ok", "authUrl", "doneUrl", "errors.*", "errors.*.message", "errors.*.detail"}

func newExchange(p *Protocol, r *row, at place, words []string, req *registry.Request) *exchange {
	x := &exchange{
		p: p, row: r, at: at, method: req.Method, query: req.Query, ranges: req.Header.Get("Range"), words: words,
		shown: registry.PresentedIn(req.Header), otp: req.Header.Get("Npm-Otp"),
	}
	if r.before != nil {
		path, v := r.before(x)
		x.beforePath, x.before = path, newReader(v)
	}
	if r.pairs {
		x.list = newPairs()
		x.body = newReader(x.list)
	}
	if r.sent != nil {
		x.sent = registry.Collect(slices.Concat(r.sent, r.secrets)...)
		x.body = newReader(x.sent)
	}
	x.said = registry.Collect(slices.Concat(commonAnswer, r.said)...)
	x.answer = newReader(x.said)
	return x
}

// Class says how careful the proxy must be. Asking whether the user is done in
// the browser changes nothing, with whatever method a client asks.
func (x *exchange) Class() registry.Class {
	if x.row.polls && x.method != http.MethodGet {
		return registry.Read
	}
	return x.row.class
}

// Act returns the event as far as the path tells it.
func (x *exchange) Act() *event.Event {
	return &event.Event{Tag: x.row.tag, Subjects: x.subjects(), Metadata: x.named()}
}

// subjects returns what the path names.
func (x *exchange) subjects() []event.Subject {
	at := &x.at
	var s []event.Subject
	if at.pkg != "" {
		s = append(s, x.p.project(at.pkg))
	}
	if at.pkg != "" && at.version != "" {
		s = append(s, x.p.version(at.pkg, at.version))
	}
	if at.org != "" {
		s = append(s, event.Subject{Type: "org", Name: clean(at.org)})
	}
	if at.team != "" {
		s = append(s, event.Subject{Type: "team", Name: clean(at.org + ":" + at.team)})
	}
	if at.user != "" {
		s = append(s, user(at.user, ""))
	}
	return s
}

// named returns what the path names and is no subject.
func (x *exchange) named() map[string]any {
	m := make(map[string]any)
	if x.at.tag != "" {
		m["tag"] = clean(x.at.tag)
	}
	if x.at.version != "" {
		m["version"] = clean(x.at.version)
	}
	if x.at.file != "" {
		m["filename"] = clean(x.at.file)
	}
	if x.at.rev != "" {
		m["rev"] = registry.Clean(x.at.rev, maxIDBytes)
	}
	return m
}

// Before lists the document that the event is a difference to.
func (x *exchange) Before() []string {
	if x.beforePath == "" {
		return nil
	}
	return []string{x.beforePath}
}

// BeforeBody returns where that document goes.
func (x *exchange) BeforeBody(path string) io.Writer {
	if path != x.beforePath || x.before == nil {
		return io.Discard
	}
	return x.before
}

// RequestBody returns where the body goes.
func (x *exchange) RequestBody() io.Writer {
	if x.row.document && x.doc == nil {
		x.doc = newSent(x.p.seed, x.known())
		x.body = newReader(x.doc)
	}
	if x.body == nil {
		return nil
	}
	return x.body
}

// known returns the package as it was, nil if that is not known.
func (x *exchange) known() *packument {
	if x.was == nil || !x.before.whole() {
		return nil
	}
	return x.was
}

// Response takes in the answer's header and returns where its body goes.
func (x *exchange) Response(status int, header http.Header) io.Writer {
	x.status = status
	x.auth = strings.ToLower(strings.Join(header.Values("Www-Authenticate"), ","))
	if x.row.class == registry.Read && x.row.said == nil && status < http.StatusBadRequest {
		return nil // a tarball, for example
	}
	return x.answer
}

// Result says what happened.
func (x *exchange) Result() registry.Result { return x.row.result(x) }
