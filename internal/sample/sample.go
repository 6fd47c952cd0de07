// Package sample holds a made-up incident: an account is taken over, its
// e-mail changed, a token minted, two packages published with it, and how the
// registry put that right. Shape and times are those of attacks that happened;
// people, packages and addresses are nobody's.
package sample

import _ "embed" // for the events

// Incident returns the events, one JSON object a line, in the order in which
// they happened.
func Incident() []byte { return incident }

//go:embed incident.ndjson
var incident []byte
