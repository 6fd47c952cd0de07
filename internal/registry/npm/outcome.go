package npm

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/registry"
)

// outcome says how the exchange ended. It reports false if it did not end: the
// registry asked for a credential or for a one-time password, and the client
// will come again with it.
func (x *exchange) outcome() (event.Outcome, bool) {
	switch s := x.status; {
	case s == 0:
		return event.Unknown, true
	case s >= 200 && s < 300:
		if x.refusedNicely() {
			return event.Failure, true
		}
		return event.Success, true
	case s == http.StatusUnauthorized && x.isChallenge():
		x.rememberPoll(secondFactor)
		return "", false
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return event.Denied, true
	}
	return event.Failure, true
}

// refusedNicely reports whether an answer with a good status says that it is
// not one.
func (x *exchange) refusedNicely() bool {
	return x.said.Text("error") != "" || x.said.Kind("success") == registry.False ||
		x.said.Kind("ok") == registry.False || x.said.Kind("errors.*") != 0
}

// isChallenge reports whether a 401 only asks for more. A one-time password
// that was sent and did not do is refused, not asked for.
func (x *exchange) isChallenge() bool {
	if x.shown.Kind == "none" && !x.row.credential {
		return true
	}
	return x.asksForOTP() && !x.shown.OTP
}

// asksForOTP reports whether the registry wants a second factor, in one of the
// ways that npm understands.
func (x *exchange) asksForOTP() bool {
	for word := range strings.SplitSeq(x.auth, ",") {
		if strings.TrimSpace(word) == "otp" {
			return true
		}
	}
	return x.said.Text("authUrl") != "" && x.said.Text("doneUrl") != "" ||
		strings.Contains(strings.ToLower(x.said.Text("error")), "one-time pass")
}

// A purpose says what a client polls for.
type purpose byte

const (
	signIn purpose = iota + 1
	secondFactor
)

// rememberPoll remembers where the client was told to ask whether its user is
// done in the browser.
func (x *exchange) rememberPoll(why purpose) {
	u, err := url.Parse(x.said.Text("doneUrl"))
	if err != nil || u.Path == "" {
		return
	}
	last := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	x.p.polls.put(x.p.pollKey(last, u.RawQuery), why)
}

// event returns an event with how it ended.
func (x *exchange) event(tag string, o event.Outcome, subjects ...event.Subject) *event.Event {
	e := &event.Event{Tag: tag, Outcome: o, Subjects: subjects, Metadata: make(map[string]any)}
	if o == event.Failure || o == event.Denied {
		e.Metadata["status"] = x.status
		if text := x.errorText(); text != "" {
			e.Metadata["error"] = text
		}
	}
	return e
}

// errorText returns what the registry said went wrong, without secrets.
func (x *exchange) errorText() string {
	for _, place := range []string{"error", "message", "reason", "errors.*.message", "errors.*.detail", "errors.*"} {
		for _, text := range x.said.Texts(place) {
			if text != "" {
				return registry.Scrub(text, x.secrets()...)
			}
		}
	}
	return ""
}

// secrets returns the secrets of the exchange, which may come back in a text.
func (x *exchange) secrets() []string {
	all := []string{x.shown.Secret, x.otp, x.at.secret}
	for _, place := range x.row.secrets {
		all = append(all, x.sent.Texts(place)...)
	}
	for _, place := range x.row.hidden {
		all = append(all, x.said.Texts(place)...)
	}
	return all
}

// one returns the result that is one event.
func one(e *event.Event) registry.Result { return registry.Result{Events: []*event.Event{e}} }

// put sets a member of the metadata unless the text is empty.
func put(e *event.Event, name, text string) {
	if text = clean(text); text != "" {
		e.Metadata[name] = text
	}
}

// putWord sets a member to a word, if it is one of those that it can be. The
// client chooses it, and the catalogue lists what there is.
func putWord(e *event.Event, name, text string, words ...string) {
	if slices.Contains(words, text) {
		e.Metadata[name] = text
	} else {
		e.Metadata["undetermined"] = true
	}
}

// putList sets a member to a list, unless that is empty. A list that is too
// long is cut, and the event says so.
func putList(e *event.Event, name string, texts []string) {
	list := make([]string, 0, min(len(texts), maxListItems))
	room := maxListBytes
	for _, t := range texts {
		t = clean(t)
		if room -= len(t); len(list) == maxListItems || room < 0 {
			e.Metadata["truncated"] = true
			break
		}
		list = append(list, t)
	}
	if len(list) > 0 {
		e.Metadata[name] = list
	}
}
