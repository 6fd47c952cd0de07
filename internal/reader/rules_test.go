package reader_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reader"
)

// The rules once more, as docs/readers.md has them: slowly, field by field, with
// nothing of the package but its types.

// A scene is an event, and which of its subjects are whose.
type scene struct {
	catalogue *catalogue.Catalogue
	fields    event.Fields
	texts     map[string]string   // their values by name
	values    map[string][]string // names of the fields that have each value
	mine      map[string]bool     // IDs or names of subjects that are a project of the reader's, or of it
	teams     map[string]bool     // the same of organizations
}

// A ruling says what the rules have somebody get.
type ruling struct {
	shown, masked   []string
	country, client bool
	anything        bool
}

func (s *scene) text(name string) string { return s.texts[name] }

// roles returns what kinds of readers r is, and whether r acted.
func (s *scene) roles(r *reader.Reader) (is catalogue.Readers, acted bool) {
	is = catalogue.Public | r.Staff
	isUser := func(prefix string) bool {
		known := s.text(prefix + ".id")
		if _, said := s.texts[prefix+".id"]; !said {
			known = s.text(prefix + ".name")
		}
		return s.text(prefix+".type") == "user" && r.Self != "" && known == r.Self
	}
	took := isUser("actor") || isUser("on_behalf_of")
	acted = isUser("actor") || isUser("on_behalf_of") && s.text("actor.type") != "admin"
	about := false
	for n := range event.MaxSubjects {
		prefix := fmt.Sprint("subjects.", n)
		about = about || isUser(prefix)
		known := s.text(prefix + ".id")
		if _, said := s.texts[prefix+".id"]; !said {
			known = s.text(prefix + ".name")
		}
		if key := s.text(prefix+".type") + " " + known; known != "" {
			if len(r.Projects) > 0 && s.mine[key] {
				is |= catalogue.Owner
			}
			if len(r.Orgs) > 0 && s.teams[key] {
				is |= catalogue.Org
			}
		}
	}
	if about || took && !strings.HasPrefix(s.text("tag"), "audit:") {
		is |= catalogue.Self
	}
	return is, acted
}

// sees returns as what r sees the event, and as what a part of it.
func (s *scene) sees(is catalogue.Readers) (whole, part catalogue.Readers) {
	typ, known := s.catalogue.Lookup(s.text("tag"))
	if !known {
		return is & catalogue.Staff, 0
	}
	for _, c := range typ.Conditions {
		switch c.Kind {
		case catalogue.Tombstone, catalogue.Flag, catalogue.Summary, catalogue.Verdict, catalogue.Notice:
			part |= is & c.Reader
		case catalogue.Optional, catalogue.Scoped, catalogue.Delayed, catalogue.After, catalogue.Count, catalogue.YearlyCount:
		}
	}
	return is & typ.Visibility, part
}

// core returns who sees a core field, and whether it is personal.
func (s *scene) core(name, class, partyType string) (visible catalogue.Readers, personal bool) {
	pattern := number.ReplaceAllString(name, ".*.")
	for _, f := range s.catalogue.CoreFields() {
		if f.Name != pattern && f.Name != name {
			continue
		}
		visible = f.Visible
		if r, ok := f.Classes[class]; ok {
			visible = r
		}
		if r, ok := f.Types[partyType]; ok {
			visible &= r
		}
		return visible, f.Personal && !slices.Contains(f.Impersonal, partyType)
	}
	return catalogue.Staff, true
}

// declared returns what a type says of a key of metadata or of what changes.
func (s *scene) declared(f *catalogue.Field, ok bool) (visible catalogue.Readers, personal, declared bool) {
	if !ok {
		return catalogue.Staff, true, false
	}
	return f.Visible, f.Personal, true
}

var (
	surroundings = regexp.MustCompile(`^(context|credential|oidc)(\.|$)`)
	neverMasked  = regexp.MustCompile(`^((actor|on_behalf_of|subjects\.\d+)\..*|credential\.id)$`)
	partyOf      = regexp.MustCompile(`^(actor|on_behalf_of|subjects\.\d+)\.`)
	number       = regexp.MustCompile(`\.\d+\.`)
	changeOf     = regexp.MustCompile(`^(changes\.\d+)\.(old|new)$`)
)

// rule returns what r gets of the event.
func (s *scene) rule(r *reader.Reader) (out ruling) {
	is, acted := s.roles(r)
	whole, part := s.sees(is)
	class, _, _ := strings.Cut(s.text("tag"), ":")
	typ, known := s.catalogue.Lookup(s.text("tag"))
	for _, f := range s.fields {
		as := whole
		var visible catalogue.Readers
		var personal bool
		key, isMetadata := strings.CutPrefix(f.Name, "metadata.")
		change := changeOf.FindStringSubmatch(f.Name)
		switch {
		case (isMetadata || change != nil) && !known:
			visible, personal = catalogue.Staff, true
		case isMetadata || change != nil:
			declared := false
			if isMetadata {
				visible, personal, declared = s.declared(typ.Field(key))
			} else {
				visible, personal, declared = s.declared(typ.Change(s.text(change[1] + ".field")))
			}
			if declared {
				as |= part
			}
		default:
			party := ""
			if m := partyOf.FindStringSubmatch(f.Name); m != nil {
				party = s.text(m[1] + ".type")
			}
			visible, personal = s.core(f.Name, class, party)
			personal = personal && !neverMasked.MatchString(f.Name) || !known && strings.HasPrefix(f.Name, "changes.")
			if f.Name == "tag" || f.Name == "time" {
				as |= part
			}
			if surroundings.MatchString(f.Name) && !acted {
				as &^= catalogue.Self
			}
		}
		as &= visible
		outside := as &^ catalogue.Staff
		switch {
		case as == 0:
		case personal && outside == 0 && !r.Clear:
			out.masked = append(out.masked, f.Name)
		default:
			out.shown = append(out.shown, f.Name)
		}
	}
	out.anything = whole|part != 0 && len(out.shown)+len(out.masked) > 0
	from := catalogue.Owner | catalogue.Org | catalogue.Staff
	if class == "user" && s.text("actor.type") != "admin" {
		from |= catalogue.Self
	}
	if whole&from != 0 {
		_, ip := s.fields.Get("context.ip")
		_, agent := s.fields.Get("context.user_agent")
		out.country = ip && !slices.Contains(out.shown, "context.ip")
		out.client = agent && !slices.Contains(out.shown, "context.user_agent")
	}
	return out
}
