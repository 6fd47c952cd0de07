package store

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/segment"
)

// A field is something that answers can be counted by.
type field struct {
	kind    string           // field of the event that all rows of a kind have in common; "" if it is a column
	derive  derivation       // from the value
	columns []segment.Column // whose values are counted
}

// A derivation makes of a value what is counted.
type derivation uint8

const (
	asIs derivation = iota
	toClass
	toSeverity
	toClient
	toCountry
)

// fields are what answers can be counted by.
var fields = map[string]field{
	"tag":             {kind: "tag"},
	"class":           {kind: "tag", derive: toClass},
	"severity":        {kind: "tag", derive: toSeverity},
	"outcome":         {kind: "outcome"},
	"source":          {kind: "source"},
	"trust":           {kind: "trust"},
	"actor_type":      {kind: "actor.type"},
	"credential_kind": {kind: "credential.kind"},
	"mfa":             {kind: "credential.mfa"},
	"origin":          {kind: "context.origin"},
	"actor":           {columns: []segment.Column{segment.Actor}},
	"on_behalf_of":    {columns: []segment.Column{segment.OnBehalfOf}},
	"user":            {columns: []segment.Column{segment.User}},
	"project":         {columns: []segment.Column{segment.Project}},
	"org":             {columns: []segment.Column{segment.Org}},
	"token":           {columns: []segment.Column{segment.Credential, segment.Token}},
	"ip":              {columns: []segment.Column{segment.IP}},
	"country":         {columns: []segment.Column{segment.IP}, derive: toCountry},
	"user_agent":      {columns: []segment.Column{segment.UserAgent}},
	"client":          {columns: []segment.Column{segment.UserAgent}, derive: toClient},
	"version":         {columns: []segment.Column{segment.Version}},
}

// Fields returns the names of what answers can be counted by, sorted.
func Fields() []string { return slices.Sorted(maps.Keys(fields)) }

// A FieldError says that answers cannot be counted by something.
type FieldError struct{ Name string }

// Error implements error.
func (e *FieldError) Error() string {
	return fmt.Sprintf("store: nothing is counted by %q; there are %v", e.Name, Fields())
}

// derived returns what is counted of a value; "" is not.
func (d derivation) of(value string, how *query.Derive) string {
	switch d {
	case asIs:
	case toClass:
		for i := range len(value) {
			if value[i] == ':' {
				return value[:i]
			}
		}
	case toSeverity:
		if how == nil || how.Severity == nil {
			return ""
		}
		return how.Severity(value)
	case toClient:
		return string(query.ClientOf([]byte(value)))
	case toCountry:
		address, err := netip.ParseAddr(value)
		if err != nil || how == nil || how.Country == nil {
			return ""
		}
		return how.Country(address.As16())
	}
	return value
}
