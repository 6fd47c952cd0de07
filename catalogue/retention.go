package catalogue

import (
	"slices"
	"time"
)

const day = 24 * time.Hour

// A Retention is a class of events that are kept equally long. The durations
// are defaults; an installation may choose its own.
type Retention struct {
	Name         string
	Keep         time.Duration // how long the event is kept; 0 means for ever
	KeepPersonal time.Duration // how long its personal fields are kept; 0 means as long as the event
}

// retentions are the classes of retention.
var retentions = []Retention{
	{Name: "permanent"},
	{Name: "permanent-skeleton", KeepPersonal: 400 * day},
	{Name: "user-security", Keep: 400 * day},
	{Name: "user-auth", Keep: 90 * day},
	{Name: "admin", Keep: 7 * 365 * day},
	{Name: "meta", Keep: 7 * 365 * day},
	{Name: "bulk", Keep: 30 * day},
}

// unknownRetention is that of types not in the catalogue: that it happened must
// not be lost, and what is personal in it nobody has said.
const unknownRetention = "permanent-skeleton"

// Retentions returns the classes of retention with their default durations.
func Retentions() []Retention { return slices.Clone(retentions) }

// RetentionNamed returns the class of retention called name.
func RetentionNamed(name string) (Retention, bool) {
	for _, r := range retentions {
		if r.Name == name {
			return r, true
		}
	}
	return Retention{}, false
}

// A Severity says how much attention an event deserves by its type alone.
type Severity string

// The severities, least first.
const (
	Info     Severity = "info"
	Warn     Severity = "warn"
	High     Severity = "high"
	Critical Severity = "critical"
)

// severities are all severities, least first.
var severities = []Severity{Info, Warn, High, Critical}

// unknownSeverity is that of types not in the catalogue. Somebody should look.
const unknownSeverity = Warn
