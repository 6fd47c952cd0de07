package segment

import (
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// A Column is something by which events are found and counted.
type Column uint8

// The columns. Those of one domain share a dictionary.
const (
	Actor Column = iota
	OnBehalfOf
	User // subjects of type user
	Project
	Org
	Credential
	Token // subjects of type token
	IP
	UserAgent
	Version
	numColumns
)

// A domain is what the values of a column are.
type domain uint8

const (
	people domain = iota
	projects
	orgs
	tokens
	addresses
	agents
	versions
	numDomains
)

var domainOf = [numColumns]domain{
	Actor: people, OnBehalfOf: people, User: people, Project: projects, Org: orgs,
	Credential: tokens, Token: tokens, IP: addresses, UserAgent: agents, Version: versions,
}

// named reports whether values of d are entities with an id and a name.
func (d domain) named() bool { return d == people || d == projects || d == orgs }

// A part is one of the two files of a segment.
type part uint8

const (
	main part = iota // what lasts
	side             // personal fields, and the secrets of their salts
	numParts
)

// A where says where the value of a field is.
type where uint8

const (
	inKind     where = iota // in the kind: the same for all its rows
	inBlob                  // in the part's blob
	inColumn                // in a column
	asField                 // it is that of an earlier field
	isTime                  // it is in the column of times
	isReceived              // likewise
	isID                    // a UUID
	isRequest               // a prefix, in the kind, and hexadecimal digits
)

// Forms of isID.
const (
	idUUID = 0 // 16 bytes
	idTime = 1 // a UUID of version 7 that holds the event's time: its last 10
)

// Members of an entity.
const (
	isEntityID   = 0
	isEntityName = 1
)

// A natural place is where fields of a name go, whatever their values.
type natural struct {
	where   where
	column  Column
	member  uint8
	subject int8 // 1 + number of the subject whose type decides; 0: nothing else does
	words   bool // its text is found by its words
}

// naturals holds the places of names by code, see [event.Field.Code].
var naturals = newNaturals()

func newNaturals() *[event.CodeLimit]natural {
	t := new([event.CodeLimit]natural)
	for code := range t {
		f := event.Field{Name: event.NameOf(code), Type: event.String}
		t[code] = naturalOf(f.Name)
		t[code].words = query.IsText(&f)
	}
	t[event.MetadataCode] = natural{where: inBlob, words: true}
	return t
}

func naturalOf(name string) natural {
	switch name {
	case "id":
		return natural{where: isID}
	case "time":
		return natural{where: isTime}
	case "received":
		return natural{where: isReceived}
	case "context.request_id":
		return natural{where: isRequest}
	case "actor.id":
		return natural{where: inColumn, column: Actor, member: isEntityID}
	case "actor.name":
		return natural{where: inColumn, column: Actor, member: isEntityName}
	case "on_behalf_of.id":
		return natural{where: inColumn, column: OnBehalfOf, member: isEntityID}
	case "on_behalf_of.name":
		return natural{where: inColumn, column: OnBehalfOf, member: isEntityName}
	case "credential.id":
		return natural{where: inColumn, column: Credential}
	case "context.ip":
		return natural{where: inColumn, column: IP}
	case "context.user_agent":
		return natural{where: inColumn, column: UserAgent}
	case "context.origin", "oidc.issuer", "oidc.environment":
		return natural{where: inKind}
	case "tag", "outcome", "actor.type", "on_behalf_of.type", "credential.kind", "credential.mfa", "source", "trust":
		return natural{where: inKind}
	case "source_seq", "credential.session", "context.trace_id":
		return natural{where: inBlob}
	}
	switch first, rest, _ := strings.Cut(name, "."); first {
	case "subjects":
		return naturalSubject(rest)
	case "changes":
		if strings.HasSuffix(rest, ".field") {
			return natural{where: inKind}
		}
	}
	return natural{where: inBlob}
}

func naturalSubject(rest string) natural {
	number, member, _ := strings.Cut(rest, ".")
	n := int8(0)
	for i := range len(number) {
		n = 10*n + int8(number[i]-'0')
	}
	switch member {
	case "id":
		return natural{where: inColumn, member: isEntityID, subject: n + 1}
	case "name":
		return natural{where: inColumn, member: isEntityName, subject: n + 1}
	case "version":
		return natural{where: inColumn, column: Version}
	case "role":
		return natural{where: inKind}
	}
	return natural{where: inKind}
}

// subjectColumn returns the column for the id or name of a subject of the given
// type; ok is false if it has none.
func subjectColumn(kind []byte, member uint8) (c Column, ok bool) {
	switch string(kind) {
	case "user":
		return User, true
	case "project", "version":
		return Project, true
	case "file": // its name is not that of the project
		return Project, member == isEntityID
	case "org", "team":
		return Org, true
	case "token":
		return Token, member == isEntityID
	}
	return 0, false
}
