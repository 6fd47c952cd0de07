package auth

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An As is a kind of reader.
type As string

// What a key may read as.
const (
	AsEverything As = "everything" // all of it, nothing masked: for programs that are trusted with personal data
	AsAuditor    As = "auditor"    // who audits the registry and this log
	AsAdmin      As = "admin"      // who administers the registry
	AsPublic     As = "public"     // anybody
	AsUser       As = "user"       // one person, what is about them
	AsProject    As = "project"    // who owns a project
	AsOrg        As = "org"        // who has a role in an organization
)

// Limits of what one key reads as.
const (
	MaxReadings       = 100
	MaxReadingsBytes  = 12 << 10 // of all of them, as text: an event has to hold them
	MaxReadingIDBytes = 255
)

// A Reading is one part of what a key reads as. As text it is one of:
//
//	everything   auditor   admin   public
//	user:ID      project:TYPE:ID   org:ID
//
// TYPE is the type of a subject, as events have it: "project:project:p1".
type Reading struct {
	As   As
	Type string // of the subject; of AsProject only
	ID   string // of the user, project or organization
}

const readingHint = "a key reads as everything, auditor, admin, public, user:ID, project:TYPE:ID or org:ID"

// ParseReading reads the form that [Reading.String] writes. Its errors are of
// type [*NameError].
func ParseReading(text string) (Reading, error) {
	as, rest, found := strings.Cut(text, ":")
	r := Reading{As: As(as), ID: rest}
	switch r.As {
	case AsEverything, AsAuditor, AsAdmin, AsPublic:
		if found {
			return Reading{}, &NameError{fmt.Sprintf("nothing follows %s; %s", as, readingHint)}
		}
		return r, nil
	case AsProject:
		r.Type, r.ID, _ = strings.Cut(rest, ":")
		if err := checkProjectType(r.Type); err != nil {
			return Reading{}, err
		}
	case AsUser, AsOrg:
	default:
		return Reading{}, &NameError{fmt.Sprintf("there is no reader %.40q; %s", text, readingHint)}
	}
	if !validID(r.ID) {
		return Reading{}, &NameError{fmt.Sprintf("the ID in %.40q must have 1 to %d bytes that can be printed; %s", text, MaxReadingIDBytes, readingHint)}
	}
	return r, nil
}

// checkProjectType refuses what is no type of a subject. A package URL has a
// colon, too, and is the mistake to expect: it would be taken for a project of
// the type pkg, of which there are none.
func checkProjectType(is string) error {
	word := is != "" && len(is) <= 64
	for i := range len(is) {
		c := is[i]
		word = word && (c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9')
	}
	if !word || is == "pkg" {
		return &NameError{fmt.Sprintf("%.40q is no type of a subject; write project:TYPE:ID, as in project:project:pkg:npm/demo-pkg", is)}
	}
	return nil
}

func validID(id string) bool {
	unprintable := func(c rune) bool { return !unicode.IsPrint(c) }
	return id != "" && len(id) <= MaxReadingIDBytes && utf8.ValidString(id) && !strings.ContainsFunc(id, unprintable)
}

// String returns r as it is written.
func (r Reading) String() string {
	switch r.As {
	case AsProject:
		return string(r.As) + ":" + r.Type + ":" + r.ID
	case AsUser, AsOrg:
		return string(r.As) + ":" + r.ID
	case AsEverything, AsAuditor, AsAdmin, AsPublic:
	}
	return string(r.As)
}

// MarshalText implements [encoding.TextMarshaler].
func (r Reading) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *Reading) UnmarshalText(text []byte) (err error) {
	*r, err = ParseReading(string(text))
	return err
}

// readsOf returns what a key of these scopes reads as: what was asked for, and
// everything if nothing was.
func readsOf(scopes []string, asked []Reading) []Reading {
	if len(asked) == 0 && mayRead(scopes) {
		return []Reading{{As: AsEverything}}
	}
	return slices.Clone(asked)
}

func mayRead(scopes []string) bool {
	return slices.Contains(scopes, Read) || slices.Contains(scopes, Admin)
}

// checkReads refuses readings that do not go together. Who reads everything, or
// what is public, is nobody else besides: the other would change nothing, so
// whoever asked for it meant something else.
func checkReads(scopes []string, reads []Reading) error {
	if len(reads) == 0 {
		return nil
	}
	if !mayRead(scopes) {
		return &NameError{"a key without the scope " + Read + " reads as nobody"}
	}
	if len(reads) > MaxReadings {
		return &NameError{fmt.Sprintf("a key reads as at most %d readers", MaxReadings)}
	}
	users, bytes := 0, 0
	for i, r := range reads {
		if bytes += len(r.String()); bytes > MaxReadingsBytes {
			return &NameError{fmt.Sprintf("what a key reads as has at most %d bytes", MaxReadingsBytes)}
		}
		if parsed, err := ParseReading(r.String()); err != nil || parsed != r {
			return &NameError{fmt.Sprintf("there is no reader %.40q; %s", r, readingHint)}
		}
		if slices.Contains(reads[:i], r) {
			return &NameError{fmt.Sprintf("%.40q is there twice", r)}
		}
		if (r.As == AsEverything || r.As == AsPublic) && len(reads) > 1 {
			return &NameError{"a key that reads as " + string(r.As) + " reads as nobody else"}
		}
		if r.As == AsUser {
			users++
		}
	}
	if users > 1 {
		return &NameError{"a key reads as one user at most"}
	}
	return nil
}
