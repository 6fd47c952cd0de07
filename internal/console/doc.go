// Package console is the web door for people: pages that say who did what, to
// whoever may know it.
//
// # Promises
//
//   - A page is complete HTML: it works, prints and can be shared without
//     scripts. Scripts only add to what is there.
//   - A page shows of an event what the reading room gives the reader who asks,
//     and nothing else. What is not there and what is not for the reader to see
//     are answered alike.
//   - What somebody wrote is shown as text, wherever it stands: no name and no
//     value becomes markup, an address of a script, or turns the text around it.
//   - Nothing is loaded from elsewhere, and the policy of every page forbids it.
//   - Each state has a sentence: nothing found, behind, not complete, expired,
//     erased, masked, held, not allowed.
//   - The address of a page is all that it shows: whoever opens it sees the same,
//     as far as they may. Nothing is changed by a GET; what it shows in the clear, and
//     that it exports, is recorded. No page of another site makes anybody export.
//   - Whoever looks at masked fields has said why, and that is on record before
//     the first of them is shown.
//
// # How a page is made
//
// Each route is registered in [Console.Handler], those about one thing (a
// project, a person, a token) in thingRoutes. A handler has the form
//
//	func (c *Console) event(v *visit) (any, error)
//
// and is registered with
//
//	mux.Handle("GET /event/{seq}", c.page("event.html", c.event))
//
// A visit is the request (v.PathValue, v.URL, v.Context) with the reader who
// makes it (v.Reader, never nil; v.Staff says whether they are an administrator
// or auditor; v.SignedIn whether they are anybody known). What the handler returns
// is .Data in the template; beside it a template has .Origin, .Version, .Address,
// .SignedIn, .Staff, .Who, .CSRF and more, see frame. An error becomes a page that
// says it in a sentence, see stateOf; states of one's own are returned as
// &state{Status, Title, Sentence, Hint}. errNone is the answer for what is not
// there and for what is not to be seen. What looks for events waits for its turn,
// see turn.
//
// What is masked is shown to staff after they gave a reason, for a page and a
// session: clear returns the reader to ask the room with, saw puts on record what
// that reader was shown, before it is written, and revealing returns the form.
//
// A template is templates/NAME.html. It defines "title" and "main", and may
// define "head" (links such as a feed's). templates/layout.html is around it. It
// may use what templates/parts.html defines:
//
//	{{template "events" .Events}}    a list of rows, one sentence each, see rowsOf
//	{{template "reveal" .Reveal}}    the form that asks why, see reveal
//	{{template "histogram" .Chart}}  bars by time, see newChart
//
// Functions of templates, beside those of html/template:
//
//	static "icon.svg"      the address of a static file
//	number 1204            1,204
//	count 1 "event"        1 event, 1,204 events
//	time .Time             <time datetime="…">2026-03-31 00:21:00 UTC</time>
//	day .Time              <time datetime="…">2026-03-31</time>
//	searchURL "project" id the search for what has that value, quoted as needed
//	queryURL "token:tok-1" the search for a query
//	projectURL id          the page about a project; so userURL, tokenURL,
//	                       orgURL and networkURL. They are "" for what can have none:
//	                       wrap them in {{with}}
//	eventURL seq           the page about an event
//	sentence .Event        the sentence about a *reading.Shown, its parts linked
//	words "trusted_publisher"  trusted publisher
//	mfa "none"             without a second factor
//	seen .Name             a value as text in which nothing is hidden
//	plain .Name            the same where there can be no markup: titles, attributes
//
// Names of people are isolated from the direction of the text around them: <bdi>.
//
// The vocabulary of CSS is at the head of static/style.css. Scripts are modules
// with a custom element each; what they compute apart from a page is in
// static/pure.js and tested without one.
package console
