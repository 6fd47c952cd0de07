package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// toy is a small registry protocol, so that these tests are about the proxy:
//
//	PUT    /login/NAME    the body is a password, the answer a token
//	PUT    /mint/NAME     the answer is another token of the caller, or of a
//	                      trusted publisher if NAME is "publisher"
//	GET    /-/whoami      the answer is the name
//	PUT    /pkg/NAME      publishes, POST the same with a challenge
//	DELETE /pkg/NAME      with a body that says which version
//	GET    /file/NAME     downloads
type toy struct{}

func (toy) Name() string { return "toy" }

func (toy) Begin(r *registry.Request) (registry.Exchange, error) {
	parts, err := registry.Segments(r.Path)
	if err != nil {
		return nil, err
	}
	if len(parts) != 2 {
		return nil, nil
	}
	x := &toyExchange{shown: registry.PresentedIn(r.Header), name: parts[1], method: r.Method}
	switch r.Method + " " + parts[0] {
	case "PUT login":
		x.class, x.tag = registry.Auth, "user:login:success"
	case "PUT mint":
		x.class, x.tag = registry.Auth, "user:token:create"
	case "GET -":
		x.class = registry.Read
	case "PUT pkg", "POST pkg":
		x.class, x.tag = registry.Write, "project:release:add"
	case "DELETE pkg":
		x.class, x.tag = registry.Write, "project:release:remove"
	case "GET file":
		x.class, x.tag = registry.Read, "project:file:download"
	default:
		return nil, nil
	}
	return x, nil
}

type toyExchange struct {
	shown  registry.Presented
	method string
	class  registry.Class
	tag    string
	name   string
	status int

	before, asked, answer head
}

// A head counts what is written and keeps the beginning.
type head struct {
	kept bytes.Buffer
	n    int64
}

func (h *head) Write(p []byte) (int, error) {
	h.n += int64(len(p))
	if room := 64 - h.kept.Len(); room > 0 {
		h.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (h *head) String() string { return h.kept.String() }

func (x *toyExchange) Class() registry.Class { return x.class }

func (x *toyExchange) Act() *event.Event {
	e := &event.Event{Tag: x.tag, Outcome: event.Unknown}
	switch x.class {
	case registry.Auth:
		e.Subjects = []event.Subject{{Type: "user", Name: x.name}}
	default:
		e.Subjects = []event.Subject{{Type: "project", ID: "pkg:toy/" + x.name, Name: x.name}}
		e.Metadata = map[string]any{"method": x.method}
	}
	return e
}

func (x *toyExchange) Before() []string {
	if x.tag == "project:release:add" {
		return []string{"/pkg/" + x.name}
	}
	return nil
}

func (x *toyExchange) BeforeBody(string) io.Writer { return &x.before }
func (x *toyExchange) RequestBody() io.Writer      { return &x.asked }

func (x *toyExchange) Response(status int, _ http.Header) io.Writer {
	x.status = status
	return &x.answer
}

func (x *toyExchange) Result() registry.Result {
	ok := x.status >= 200 && x.status < 300
	if x.tag == "" {
		if !ok || x.answer.n == 0 {
			return registry.Result{}
		}
		return registry.Result{Learned: []registry.Learned{{Secret: x.shown.Secret, Identity: registry.Identity{User: x.answer.String()}}}}
	}
	if x.method == "POST" && x.status == 401 {
		return registry.Result{}
	}
	e := x.Act()
	switch {
	case ok:
		e.Outcome = event.Success
	case x.status == 401 || x.status == 403:
		e.Outcome = event.Denied
	case x.status != 0:
		e.Outcome = event.Failure
	}
	r := registry.Result{Events: []*event.Event{e}}
	if x.tag == "user:token:create" {
		if x.name == "publisher" {
			r.Learned = []registry.Learned{{Secret: x.answer.String(), Identity: registry.Identity{
				Credential: event.Credential{Kind: "oidc"}, OIDC: event.OIDC{Subject: "repo:acme/demo", Repository: "acme/demo", RunID: "7"},
			}}}
			return r
		}
		r.Learned = []registry.Learned{{Secret: x.answer.String(), Caller: true, Identity: registry.Identity{
			Credential: event.Credential{Kind: "token", Name: x.name},
		}}}
		return r
	}
	if x.class == registry.Auth {
		e.Credential = event.Credential{Kind: "password"}
		if ok {
			e.Actor = event.Party{Type: "user", Name: x.name}
			r.Learned = []registry.Learned{{
				Secret:   strings.TrimSpace(x.answer.String()),
				Identity: registry.Identity{User: x.name, Credential: event.Credential{Kind: "session", Name: "login"}},
			}}
		}
		return r
	}
	if x.class == registry.Write {
		e.Metadata["asked"] = x.asked.n
		e.Metadata["before"] = x.before.n
	}
	return r
}
