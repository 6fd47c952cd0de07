package gen

import (
	"slices"
	"sort"
	"strings"

	"github.com/custody-log/custody/catalogue"
)

// Frequent are the tags that most events of a registry have, with their share
// of the traffic. All other types that a source can send share what is left.
var Frequent = map[string]float64{
	"project:file:add":            .170,
	"user:login:success":          .140,
	"project:file:download":       .120,
	"project:release:add":         .090,
	"user:login:failure":          .080,
	"project:oidc_token:mint":     .080,
	"user:token:exchange":         .050,
	"project:attestation:add":     .040,
	"project:release:scan_result": .040,
	"user:reauth:success":         .030,
	"user:logout":                 .030,
	"user:token:denied":           .030,
	"project:dist_tag:add":        .020,
	"user:token:create":           .015,
	"user:mfa:failure":            .010,
	"project:create":              .008,
	"user:token:revoke":           .006,
	"project:release:yank":        .005,
	"project:role:add":            .004,
	"user:email:add":              .003,
	"project:release:remove":      .002,
	"project:role:remove":         .002,
	"org:member:add":              .002,
}

// ownClass is the class of the events that only the log itself records.
const ownClass = "audit"

// failing is how many of the events of a type are about something that failed.
const failing = .02

// A kind is a type of event and how often it comes.
type kind struct {
	*catalogue.Type
	tag, class string
	failing    float64
}

// kinds are all kinds, and for each the share of it and those before it.
type kinds struct {
	list []kind
	upTo []float64
}

func newKinds(c *catalogue.Catalogue) *kinds {
	k := new(kinds)
	types := slices.DeleteFunc(c.Types(), func(t *catalogue.Type) bool {
		return t.Class() == ownClass // which no source may send
	})
	rest := 1.0
	for _, share := range Frequent {
		rest -= share
	}
	total := 0.0
	for _, t := range types {
		share, ok := Frequent[t.Tag]
		if !ok {
			share = rest / float64(len(types)-len(Frequent))
		}
		total += share
		one := kind{Type: t, tag: t.Tag, class: t.Class(), failing: failing}
		if t.Negative || strings.HasSuffix(t.Tag, ":failure") {
			one.failing = 1
		}
		k.list = append(k.list, one)
		k.upTo = append(k.upTo, total)
	}
	return k
}

// pick returns the kind at x, from 0 to 1, when all are laid side by side.
func (k *kinds) pick(x float64) *kind {
	last := len(k.list) - 1
	return &k.list[min(sort.SearchFloat64s(k.upTo, x*k.upTo[last]), last)]
}
