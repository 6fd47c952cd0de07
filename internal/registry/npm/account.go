package npm

import (
	"net/http"
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// Kinds of rows about users and how they sign in.
var (
	loginKind = row{
		class: registry.Auth, tag: "user:login:success", credential: true,
		sent: []string{"name", "email"}, secrets: []string{"password"},
		said: []string{"token"}, hidden: []string{"token"},
		result: (*exchange).login,
	}
	webLoginKind = row{
		class: registry.Auth, tag: "user:webauth:start", credential: true,
		result: (*exchange).webLogin,
	}
	pollKind = row{
		class: registry.Auth, tag: "user:login:success", credential: true, polls: true,
		said: []string{"token"}, hidden: []string{"token"},
		result: (*exchange).poll,
	}
	whoamiKind = row{
		class: registry.Read, tag: "user:login:success",
		said: []string{"username"}, result: (*exchange).whoami,
	}
	profileReadKind = row{
		class: registry.Read, tag: "user:login:success",
		said: []string{"name"}, result: (*exchange).profileRead,
	}
	profileKind = row{
		class: registry.Auth, tag: "user:profile:change",
		before:  (*exchange).profileBefore,
		sent:    append([]string{"tfa", "tfa.mode", "password"}, profileMembers...),
		secrets: []string{"tfa.password", "tfa.*", "password.old", "password.new", "password"},
		said:    []string{"name", "tfa"}, hidden: []string{"tfa", "tfa.*"},
		result: (*exchange).profile,
	}
)

// profileMembers are what a user can change. Their values stay out of events;
// only their names go in.
var profileMembers = []string{"email", "fullname", "homepage", "freenode", "twitter", "github"}

// profileBefore asks for the profile as it was.
func (x *exchange) profileBefore() (string, registry.Visitor) {
	x.old = registry.Collect(append([]string{"name"}, profileMembers...)...)
	return "/-/npm/v1/user", x.old
}

// login is a sign-in with a password, or a new account: which of them, the
// registry says. The token that an npm sends along belongs to an earlier
// sign-in, of anybody.
func (x *exchange) login() registry.Result {
	o, ended := x.outcome()
	created := x.createdAccount(o)
	if !ended || x.status == http.StatusConflict && !created {
		// After 409 the client fetches the user's document and comes again.
		return registry.Result{}
	}
	name, known := x.loginName()
	tag := "user:login:success"
	switch {
	case created:
		tag = "user:account:create"
	case o == event.Failure || o == event.Denied:
		tag, o = "user:login:failure", event.Failure
	}
	e := x.event(tag, o, user(name, ""))
	e.Actor = event.Party{Type: "anonymous"}
	e.Credential = event.Credential{Kind: "password"}
	if !known {
		e.Metadata["ambiguous"] = true
	}
	if x.shown.OTP {
		e.Credential.MFA = "otp"
	}
	if created {
		e.Metadata["method"] = "password"
	} else {
		e.Metadata["auth_method"] = "password"
	}
	switch {
	case o == event.Success:
		e.Actor = event.Party{Type: "user", Name: clean(name)}
		if x.shown.OTP && !created {
			e.Metadata["mfa_method"] = "otp"
		}
	case tag == "user:login:failure":
		put(e, "attempted_username", name)
		put(e, "reason", x.loginReason())
	}
	r := one(e)
	if token := x.said.Text("token"); o == event.Success && token != "" && known {
		r.Learned = append(r.Learned, learned(token, name, "session"))
	}
	return r
}

// loginName returns who signs in. It reports false if path and body disagree:
// registries differ in which of them counts.
func (x *exchange) loginName() (string, bool) {
	sent := x.sent.Text("name")
	return x.at.user, sent == "" || sent == x.at.user
}

// createdAccount reports whether the request made an account, or was to make
// one. Verdaccio and others answer with a sentence; a client that wants an
// account sends an address, and one that only signs in does not.
func (x *exchange) createdAccount(o event.Outcome) bool {
	said := strings.ToLower(x.said.Text("ok"))
	switch {
	case o == event.Success && strings.Contains(said, "created"):
		return true
	case o == event.Success && strings.Contains(said, "authenticated"):
		return false
	}
	return x.sent.Text("email") != "" && x.at.rev == ""
}

// loginReason says why a sign-in failed, in the catalogue's words.
func (x *exchange) loginReason() string {
	switch x.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		if x.asksForOTP() {
			return "invalid_mfa"
		}
		return "invalid_password"
	case http.StatusBadRequest, http.StatusNotFound:
		return "no_such_user"
	}
	return ""
}

// webLogin is the start of a sign-in in the browser. A registry that has none
// answers with an error, and the client asks for a password instead.
func (x *exchange) webLogin() registry.Result {
	o, ended := x.outcome()
	if !ended || o != event.Success || x.said.Text("doneUrl") == "" {
		return registry.Result{}
	}
	x.rememberPoll(signIn)
	e := x.event("user:webauth:start", o)
	e.Actor = event.Party{Type: "anonymous"}
	e.Credential = event.Credential{Kind: "none"}
	e.Metadata["kind"] = "login"
	return one(e)
}

// poll asks whether the user is done in the browser. For a second factor npm
// asks with the method and the body of what it was about: that is not it. Nobody
// says here who signed in.
func (x *exchange) poll() registry.Result {
	token := x.said.Text("token")
	key := x.p.pollKey(x.words[len(x.words)-1], x.query)
	why, known := x.p.polls.get(key)
	if x.status != http.StatusOK || token == "" || why == secondFactor || x.method != http.MethodGet {
		return registry.Result{}
	}
	x.p.polls.forget(key)
	e := x.event("user:login:success", event.Success)
	e.Actor = event.Party{Type: "user"}
	e.Credential = event.Credential{Kind: "session"}
	e.Metadata["auth_method"] = "web"
	if !known {
		e.Metadata["undetermined"] = true // it may have been a second factor
	}
	r := one(e)
	r.Learned = append(r.Learned, learned(token, "", "session"))
	return r
}

// learned says that a token belongs to a user; an empty name is not known.
func learned(token, name, kind string) registry.Learned {
	return registry.Learned{
		Secret:   token,
		Identity: registry.Identity{User: clean(name), Credential: event.Credential{Kind: kind}},
	}
}

// whoami is no event, but tells who a token belongs to. A registry may answer
// 200 without a name to a token that it does not know.
func (x *exchange) whoami() registry.Result { return x.caller(x.said.Text("username")) }

// profileRead is no event either.
func (x *exchange) profileRead() registry.Result { return x.caller(x.said.Text("name")) }

// caller returns the result that whoever asked is called name.
func (x *exchange) caller(name string) registry.Result {
	if x.status != http.StatusOK || name == "" || x.shown.Secret == "" {
		return registry.Result{}
	}
	return registry.Result{Learned: []registry.Learned{learned(x.shown.Secret, name, "")}}
}

// profile is a change of profile, password or second factor. The second factor
// takes two requests: the first is answered with a secret to set up, or with
// nothing when there is one already; the second proves that it works.
func (x *exchange) profile() registry.Result {
	o, ended := x.outcome()
	if !ended {
		return registry.Result{}
	}
	var events []*event.Event
	switch {
	case !x.body.whole():
		e := x.profileEvent("user:profile:change", o)
		e.Metadata["undetermined"] = true
		events = append(events, e)
	case x.sent.Kind("tfa") != 0 && x.sent.Kind("tfa") != registry.Null:
		events = append(events, x.secondFactor(o))
	default:
		events = x.profileChanges(o)
	}
	r := registry.Result{Events: events}
	if o == event.Success {
		r.Learned = x.caller(x.profileName()).Learned
	}
	return r
}

func (x *exchange) profileName() string {
	if name := x.said.Text("name"); name != "" || !x.before.whole() {
		return name
	}
	return x.old.Text("name")
}

func (x *exchange) profileEvent(tag string, o event.Outcome) *event.Event {
	e := x.event(tag, o)
	if name := x.profileName(); name != "" {
		e.Subjects = append(e.Subjects, user(name, ""))
	}
	return e
}

// secondFactor returns the event of a request about the second factor.
func (x *exchange) secondFactor(o event.Outcome) *event.Event {
	mode := x.sent.Text("tfa.mode")
	switch {
	case x.sent.Kind("tfa") == registry.Array:
		e := x.profileEvent("user:mfa:enable", o)
		e.Metadata["method"] = "totp"
		return e
	case mode == "disable":
		return x.profileEvent("user:mfa:disable", o)
	case o == event.Success && x.said.Kind("tfa") != registry.String:
		e := x.profileEvent("user:mfa:level_change", o)
		putWord(e, "new", mode, "auth-only", "auth-and-writes")
		return e
	}
	e := x.profileEvent("user:mfa:enroll", o)
	e.Metadata["method"] = "totp"
	put(e, "mode", mode)
	return e
}

// profileChanges returns the events of a request about anything else. Clients
// send the whole profile each time.
func (x *exchange) profileChanges(o event.Outcome) []*event.Event {
	var events []*event.Event
	password := x.sent.Kind("password") == registry.Object
	if password {
		events = append(events, x.profileEvent("user:password:change", o))
	}
	fields, derived := x.changedFields()
	if i := slices.Index(fields, "email"); derived && i >= 0 {
		fields = slices.Delete(fields, i, i+1)
		e := x.profileEvent("user:email:primary_change", o)
		e.Metadata["derived"] = true
		events = append(events, e)
	}
	if len(events) > 0 && (len(fields) == 0 || !derived) {
		return events
	}
	e := x.profileEvent("user:profile:change", o)
	putList(e, "fields", fields)
	if derived {
		e.Metadata["derived"] = true
	} else {
		e.Metadata["undetermined"] = true // these were sent; which of them changed is not known
	}
	return append(events, e)
}

// changedFields returns what the request changes, and whether that comes from
// comparing. Otherwise it returns what was sent.
func (x *exchange) changedFields() (fields []string, derived bool) {
	derived = x.before.whole()
	for _, name := range profileMembers {
		switch {
		case derived && x.sent.Kind(name) != 0 && x.sent.Text(name) != x.old.Text(name),
			!derived && x.sent.Text(name) != "":
			fields = append(fields, name)
		}
	}
	return fields, derived
}
