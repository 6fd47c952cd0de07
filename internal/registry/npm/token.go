package npm

import (
	"net/http"
	"strings"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// Kinds of rows about tokens.
var (
	tokenCreateKind = row{
		class: registry.Auth, tag: "user:token:create",
		sent: []string{
			"name", "readonly", "packages_all", "packages_and_scopes_permission", "orgs_permission", "bypass_2fa", "expires",
			"packages.*", "scopes.*", "orgs.*", "cidr_whitelist.*",
		},
		secrets: []string{"password"},
		said:    []string{"token", "key", "expires"}, hidden: []string{"token"},
		result: (*exchange).tokenCreate,
	}
	tokenListKind = row{
		class: registry.Read, tag: "user:token:list",
		said: []string{"total"}, result: (*exchange).tokenList,
	}
	tokenRevokeKind = row{class: registry.Auth, tag: "user:token:revoke", result: (*exchange).tokenRevoke}
	logoutKind      = row{class: registry.Auth, tag: "user:logout", result: (*exchange).logout}
	exchangeKind    = row{
		class: registry.Auth, tag: "user:token:exchange",
		said: []string{"token", "expires"}, hidden: []string{"token"},
		result: (*exchange).tokenExchange,
	}
)

// tokenCreate is a new token of the caller.
func (x *exchange) tokenCreate() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	e := x.event("user:token:create", o)
	if id := tokenID(x.said.Text("key")); id != "" {
		e.Subjects = append(e.Subjects, event.Subject{Type: "token", ID: id, Name: clean(x.sent.Text("name"))})
		e.Metadata["token_id"] = id
	}
	x.describeToken(e)
	r := one(e)
	if token := x.said.Text("token"); o == event.Success && token != "" {
		l := learned(token, "", "token")
		l.Credential.Name = clean(x.sent.Text("name"))
		l.Caller = true
		r.Learned = append(r.Learned, l)
	}
	return r
}

// describeToken adds what a token may do.
func (x *exchange) describeToken(e *event.Event) {
	s := x.sent
	put(e, "name", s.Text("name"))
	putList(e, "packages", s.Texts("packages.*"))
	putList(e, "scopes", s.Texts("scopes.*"))
	putList(e, "orgs", s.Texts("orgs.*"))
	putList(e, "cidr", s.Texts("cidr_whitelist.*"))
	var permissions []string
	if p := s.Text("packages_and_scopes_permission"); p != "" {
		e.Metadata["kind"] = "granular"
		permissions = append(permissions, "packages:"+p)
	}
	if p := s.Text("orgs_permission"); p != "" {
		e.Metadata["kind"] = "granular"
		permissions = append(permissions, "orgs:"+p)
	}
	if s.Kind("readonly") == registry.True {
		permissions = append(permissions, "read-only")
	}
	putList(e, "permissions", permissions)
	if s.Kind("packages_all") == registry.True {
		e.Metadata["packages_all"] = true
	}
	if k := s.Kind("bypass_2fa"); k == registry.True || k == registry.False {
		e.Metadata["bypass_mfa"] = k == registry.True
	}
	if days, ok := s.Int("expires"); ok {
		e.Metadata["expires_days"] = days
	}
	putTime(e, "expires", x.said.Text("expires"))
	if s.Full() {
		e.Metadata["truncated"] = true
	}
}

// putTime sets a member to a time, if text is one.
func putTime(e *event.Event, name, text string) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		e.Metadata[name] = t.UTC().Format(time.RFC3339)
	}
}

// tokenID returns a registry's ID of a token, "" if it could be the token
// itself: clients that do not find an ID send what their user typed. IDs are
// digests; of their lengths, 40 digits are a token elsewhere.
func tokenID(key string) string {
	switch len(key) {
	case 32, 64, 96, 128:
		if strings.Trim(key, "0123456789abcdef") == "" {
			return key
		}
	}
	return ""
}

// tokenList is a look at the caller's tokens. A client whose copy is still
// good, 304, has seen them, too.
func (x *exchange) tokenList() registry.Result {
	o, ended := x.outcome()
	switch {
	case !ended || o == event.Unknown:
		return registry.Result{}
	case x.status == http.StatusNotModified:
		o = event.Success
	case o == event.Failure:
		return registry.Result{}
	}
	e := x.event("user:token:list", o)
	if n, ok := x.said.Int("total"); ok {
		e.Metadata["count"] = n
	}
	return one(e)
}

// tokenRevoke is the end of a token, named by its ID or by itself.
func (x *exchange) tokenRevoke() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	e := x.event("user:token:revoke", o)
	e.Metadata["reason"] = "user"
	id := tokenID(x.at.secret)
	if id != "" {
		e.Subjects = append(e.Subjects, event.Subject{Type: "token", ID: id})
		e.Metadata["token_id"] = id
	}
	r := one(e)
	if id == "" && o == event.Success {
		r.Forgotten = append(r.Forgotten, x.at.secret)
	}
	return r
}

// logout asks the registry to end the token in the path. Registries say yes and
// may go on to accept it, so that is all that is said here, and whose token it
// is stays known: an attempt with it is still that user's.
func (x *exchange) logout() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	tag := "user:logout"
	if x.at.secret != x.shown.Secret {
		tag = "user:token:revoke" // somebody ends another token than the one that is shown
	}
	e := x.event(tag, o)
	if o == event.Success {
		e.Metadata["accepted"] = true
	}
	if tag == "user:logout" {
		e.Metadata["kind"] = "user"
	} else {
		e.Metadata["reason"] = "user"
	}
	return one(e)
}

// tokenExchange turns the token of a CI job into one for a package.
func (x *exchange) tokenExchange() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	claims, _ := registry.Claims(x.shown.Secret)
	tag := "user:token:exchange"
	if o == event.Failure || o == event.Denied {
		tag = "project:oidc_token:reject"
	}
	e := x.event(tag, o, x.p.project(x.at.pkg))
	e.OIDC = claims
	e.Credential = event.Credential{Kind: "oidc"}
	e.Actor = event.Party{Type: "anonymous"} // until the registry has checked the token
	put(e, "issuer", claims.Issuer)
	put(e, "repository", claims.Repository)
	put(e, "workflow_ref", claims.WorkflowRef)
	if tag == "user:token:exchange" {
		put(e, "environment", claims.Environment)
		putTime(e, "expires", x.said.Text("expires"))
	}
	if o != event.Success {
		e.Metadata["claimed"] = true
		return one(e)
	}
	e.Actor = event.Party{Type: "trusted_publisher", ID: claims.Subject, Name: claims.Repository}
	e.Metadata["claimed"] = false
	r := one(e)
	if token := x.said.Text("token"); token != "" {
		r.Learned = append(r.Learned, registry.Learned{Secret: token, Identity: registry.Identity{
			Credential: event.Credential{Kind: "oidc"}, OIDC: claims,
		}})
	}
	return r
}
