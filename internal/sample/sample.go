// Package sample holds two made-up incidents. In the first an account is taken
// over, its e-mail changed, a token minted, two packages published with it, and
// the registry puts that right. Then an organization begins, with people, teams
// and projects, and a page that looks like the registry's collects passwords:
// several accounts are tried from one address, and from one of those that open a
// package is published. Shape and times are those of attacks that happened;
// people, packages and addresses are nobody's.
package sample

import _ "embed" // for the events

// Incident returns the events, one JSON object a line, in the order in which
// they happened.
func Incident() []byte { return incident }

//go:embed incident.ndjson
var incident []byte
