package console

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/signin"
)

// A visit is one request, and who makes it.
type visit struct {
	*http.Request

	Reader  *reader.Reader  // never nil; the zero one is the public
	Session *signin.Session // nil if nobody is signed in
	Over    bool            // there was a session, which is over
}

// visit returns who makes a request.
func (c *Console) visit(r *http.Request) *visit {
	who, session, err := c.Signin.Reader(r)
	return &visit{Request: r, Reader: who, Session: session, Over: err != nil}
}

// watching is visit for what a page asks while its owner may be away.
func (c *Console) watching(r *http.Request) *visit {
	who, session, err := c.Signin.Watching(r)
	return &visit{Request: r, Reader: who, Session: session, Over: err != nil}
}

// SignedIn reports whether the visitor is known.
func (v *visit) SignedIn() bool { return v.Session != nil }

// Staff reports whether the visitor works for the registry.
func (v *visit) Staff() bool { return v.Reader.IsStaff() }

// CSRF returns what forms of this session must send back; "" without one.
func (v *visit) CSRF() string {
	if v.Session == nil {
		return ""
	}
	return v.Session.CSRF()
}

// Who returns what to call the visitor; "" if nobody is signed in.
func (v *visit) Who() string {
	if v.Session == nil {
		return ""
	}
	return v.Session.Name
}

// Roles returns what the visitor is at the registry, in words; "" if nothing.
func (v *visit) Roles() string {
	roles := v.Reader.Staff & catalogue.Staff
	if roles == 0 {
		return ""
	}
	return roles.String()
}

// whence returns how the visitor came here, as it stands in events.
func (c *Console) whence(v *visit) (event.Credential, event.Context) {
	const most = 1024 // bytes of what the browser calls itself
	agent := strings.ToValidUTF8(v.UserAgent(), "\uFFFD")
	for len(agent) > most {
		_, size := utf8.DecodeLastRuneInString(agent)
		agent = agent[:len(agent)-size]
	}
	from := event.Context{UserAgent: agent, Origin: "web"}
	if addr := c.Signin.Address(v.Request); addr.IsValid() {
		from.IP = addr.String()
	}
	return event.Credential{Kind: "session"}, from
}

// A frame is what layout.html shows around a page.
type frame struct {
	Origin  string
	Version string
	Address string // of this page
	LogKeys string // the log's public keys, separated by spaces

	SignedIn bool
	Over     bool // there was a session, which is over
	Staff    bool
	Who      string
	Roles    string
	CSRF     string

	Nav    []link
	Search bool // whether the header has a box to search
	Data   any  // of the page itself
}

// A link leads to a page.
type link struct {
	Title   string
	Address string
	Here    bool // it leads to this page
}

// frame returns what is around a page for a visitor.
func (c *Console) frame(v *visit, data any) *frame {
	keys := c.Keys()
	f := &frame{
		Origin: keys.Origin(), Version: c.Version, Address: v.URL.RequestURI(), LogKeys: strings.Join(keys.Verifiers(), " "),
		SignedIn: v.SignedIn(), Over: v.Over, Staff: v.Staff(), Who: v.Who(), Roles: v.Roles(), CSRF: v.CSRF(),
		Search: v.URL.Path != "/" && v.URL.Path != "/search",
		Data:   data,
	}
	f.Nav = append(f.Nav, link{Title: "Search", Address: "/search"}, link{Title: "The log", Address: "/log"})
	if you := userURL(v.Reader.Self); you != "" {
		f.Nav = append(f.Nav, link{Title: "You", Address: you})
	}
	for i := range f.Nav {
		f.Nav[i].Here = f.Nav[i].Address == v.URL.EscapedPath()
	}
	return f
}
