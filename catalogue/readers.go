package catalogue

import "strings"

// Readers is a set of the kinds of people who read the log.
type Readers uint8

// The kinds of readers.
const (
	Public  Readers = 1 << iota // anybody
	Owner                       // who has a role in the project the event is about
	Self                        // whom the event is about, or who acted
	Org                         // who has a role in the organization the event is about
	Admin                       // the registry's administrators
	Auditor                     // who audits the registry, its administrators and this log
)

// Everybody is all readers; Staff those who work for the registry.
const (
	Everybody = Public | Owner | Self | Org | Admin | Auditor
	Staff     = Admin | Auditor
)

// readerNames[i] is the name of the reader with bit i.
var readerNames = []string{"public", "owner", "self", "org", "admin", "auditor"}

// Has reports whether all of others are in r.
func (r Readers) Has(others Readers) bool { return r&others == others }

// String returns the names of the readers in r with commas between them, the
// widest first.
func (r Readers) String() string {
	if r == 0 {
		return "nobody"
	}
	var names []string
	for i, name := range readerNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// closed returns r with those who may see whatever the readers in r see: what
// the public sees, everybody sees; what anybody outside sees, an administrator
// sees; what an administrator sees, an auditor sees.
func (r Readers) closed() Readers {
	if r.Has(Public) {
		return Everybody
	}
	if r&^Auditor != 0 {
		r |= Staff
	}
	return r
}

// readerNamed returns the reader called name.
func readerNamed(name string) (Readers, bool) {
	for i, known := range readerNames {
		if known == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// A ConditionKind says in which case, or how much of it, a reader sees an event.
type ConditionKind string

// The conditions under which a reader sees the event as [Type.Visibility] would
// have it.
const (
	Optional ConditionKind = "optional" // where the registry has chosen so
	Scoped   ConditionKind = "scoped"   // where the token concerned reaches something of the reader's
	Delayed  ConditionKind = "delayed"  // once knowing of it can no longer spoil an investigation
	After    ConditionKind = "after"    // where the reader may see the project as the event left it
)

// The conditions under which a reader sees only a part: tag, time, and those
// fields that name the reader in their own "visible". Count and YearlyCount
// show nothing of one event, only how many there were.
const (
	Tombstone   ConditionKind = "tombstone"    // that something is gone, not who it was
	Flag        ConditionKind = "flag"         // the state it left behind
	Summary     ConditionKind = "summary"      // a summary
	Verdict     ConditionKind = "verdict"      // the verdict, not what led to it
	Notice      ConditionKind = "notice"       // a notice that it happened
	Count       ConditionKind = "count"        // how many there were
	YearlyCount ConditionKind = "yearly_count" // how many there were in a year
)

// conditionKinds are all kinds of conditions, and whether each shows a part only.
var conditionKinds = map[ConditionKind]bool{
	Optional: false, Scoped: false, Delayed: false, After: false,
	Tombstone: true, Flag: true, Summary: true, Verdict: true, Notice: true, Count: true, YearlyCount: true,
}

// Partial reports whether a reader under the condition sees only a part of the
// event.
func (k ConditionKind) Partial() bool { return conditionKinds[k] }

// A Condition lets one kind of reader see an event in some cases, or in part.
type Condition struct {
	Reader Readers // exactly one
	Kind   ConditionKind
}
