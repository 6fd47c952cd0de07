package reader_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
)

// rare are types with what a catalogue may say and the one in the program does
// not.
const rare = `types:
  - tag: project:rare:part
    description: "{actor} did"
    subjects: [project, user]
    fields:
      named: {type: string, personal: true, visible: [self, owner]}
      unnamed: {type: string}
      audited: {type: string, visible: [auditor]}
    changes:
      named: {type: string, personal: true, visible: [self]}
      unnamed: {type: string}
    visibility: [owner]
    conditions: {self: notice, public: tombstone, org: scoped}
    retention: permanent
    severity: info
  - tag: org:rare:admin
    description: "{actor} did"
    subjects: [org]
    fields:
      named: {type: string, visible: [admin]}
      secret: {type: string, personal: true, visible: [admin]}
      unnamed: {type: string}
    visibility: [auditor]
    conditions: {admin: summary, org: flag}
    retention: permanent
    severity: info
  - tag: audit:rare:mine
    description: "{actor} did"
    subjects: [user]
    fields:
      own: {type: string, personal: true}
    visibility: [self, auditor]
    retention: permanent
    severity: info
  - tag: system:rare:only
    description: "{actor} did"
    subjects: [user]
    fields:
      audited: {type: string, personal: true, visible: [auditor]}
    changes:
      audited: {type: string, visible: [auditor]}
    visibility: [admin]
    retention: permanent
    severity: info
`

var load = sync.OnceValues(func() (*catalogue.Catalogue, error) {
	return catalogue.LoadWith(fstest.MapFS{"rare.yaml": {Data: []byte(rare)}})
})

func newPolicy(t testing.TB) *reader.Policy {
	t.Helper()
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return &reader.Policy{Catalogue: c, Derive: &query.Derive{Country: func(a [16]byte) string {
		return string([]byte{'A' + a[14]%26, 'A' + a[15]%26})
	}}}
}

// Subjects of which some are the reader's project or organization.
var (
	mine = []string{
		"project pkg:npm/@demo/pkg", "project pkg:npm/%40demo/pkg", "project pkg:npm/%40demo%2Fpkg", "project prj-1",
		"version pkg:npm/@demo/pkg@1.0.0", "version pkg:npm/%40demo/pkg@1.0.0", "file pkg:npm/%40demo/pkg@1.0.0?file_name=x.tgz#a",
	}
	others = []string{
		"project pkg:npm/@demo/pkg2", "project pkg:npm/%2540demo/pkg", "project pkg:npm/@demo%2Fpkg%401.0.0", "project pkg:pypi/pkg", "project pkg:npm/@demo",
		"version prj-1", "file prj-1", "version pkg:npm/@demo/pk@1.0.0", "user prj-1", "user org-1", "user team-1", "project org-1", "org prj-1", "team org-1",
		"user u-other", "token u-self", "admin u-self", "token t-7", "key k-7", "session s-7", "repository r-7", "org org-2",
	}
	teams = []string{"org org-1", "team team-1"}
	self  = []string{"user u-self"}
)

// newScene returns the scene of an event whose subjects are some of these.
func newScene(c *catalogue.Catalogue, fields event.Fields) *scene {
	s := &scene{catalogue: c, fields: fields, texts: make(map[string]string), mine: setOf(mine), teams: setOf(teams)}
	for _, f := range fields {
		s.texts[f.Name] = f.Text()
	}
	s.values = values(fields)
	return s
}

func setOf(keys []string) map[string]bool {
	m := make(map[string]bool)
	for _, k := range keys {
		m[k] = true
	}
	return m
}

// A maker makes random events in which every value can be told from all others.
type maker struct {
	*rand.Rand
	fields event.Fields
	marks  int
}

func (m *maker) add(name, value string) {
	m.fields = append(m.fields, event.StringField(name, value))
}

// mark returns a value that is nowhere else, nor part of anything else.
func (m *maker) mark() string {
	m.marks++
	return fmt.Sprintf("mark-%d-", m.marks)
}

func (m *maker) half() bool { return m.IntN(2) == 0 }

func (m *maker) oneOf(values ...string) string { return values[m.IntN(len(values))] }

// event makes an event with the given tag, of a type that may be nil.
func (m *maker) event(tag string, typ *catalogue.Type) event.Fields {
	m.fields = nil
	for code := range event.CodeLimit {
		name := event.NameOf(code)
		top, _, _ := strings.Cut(name, ".")
		if name == "" || slices.Contains([]string{"tag", "actor", "on_behalf_of", "subjects", "changes", "context"}, top) || m.IntN(8) == 0 {
			continue
		}
		m.add(name, m.mark())
	}
	m.add("tag", tag)
	m.party("actor", "user", "admin", "service", "token", "trusted_publisher", "anonymous")
	if m.IntN(4) == 0 {
		m.party("on_behalf_of", "user", "admin", "service")
	}
	for n := range m.IntN(5) {
		m.subject(fmt.Sprint("subjects.", n))
	}
	m.context()
	keys := []string{"undeclared", "derived", "forwarder", "error"}
	changes := []string{"undeclared"}
	if typ != nil {
		for i := range typ.Fields {
			keys = append(keys, typ.Fields[i].Name)
		}
		for i := range typ.Changes {
			changes = append(changes, typ.Changes[i].Name)
		}
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		m.add("metadata."+key, m.mark())
	}
	for n, change := range changes {
		m.add(fmt.Sprintf("changes.%d.field", n), change)
		m.add(fmt.Sprintf("changes.%d.old", n), m.mark())
		m.add(fmt.Sprintf("changes.%d.new", n), m.mark())
	}
	slices.SortFunc(m.fields, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	return m.fields
}

func (m *maker) party(prefix string, types ...string) {
	m.add(prefix+".type", m.oneOf(types...))
	switch id := m.oneOf("u-self", m.mark()); m.IntN(4) {
	case 0:
		m.add(prefix+".name", id)
	case 1:
		m.add(prefix+".id", id)
	default:
		m.add(prefix+".id", id)
		m.add(prefix+".name", m.oneOf("u-self", m.mark()))
	}
}

func (m *maker) subject(prefix string) {
	typ, id, _ := strings.Cut(m.oneOf(slices.Concat(mine, others, teams, teams, self, self)...), " ")
	m.add(prefix+".type", typ)
	// A package is told by its URL; what else it is called says nothing.
	if m.half() || strings.HasPrefix(id, "pkg:") {
		m.add(prefix+".id", id)
		m.add(prefix+".name", m.oneOf("prj-1", "org-1", m.mark()))
	} else {
		m.add(prefix+".name", id)
	}
	m.add(prefix+".role", m.mark())
	m.add(prefix+".version", m.mark())
}

func (m *maker) context() {
	if m.IntN(4) > 0 {
		m.fields = append(m.fields, event.Field{Name: "context.ip", Type: event.IP, Value: []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, byte(m.IntN(256)), 1, byte(m.IntN(26)), byte(m.IntN(26))}})
	}
	if m.IntN(4) > 0 {
		m.add("context.user_agent", fmt.Sprintf("Client%d/1.0 (%s)", m.IntN(1000), m.mark()))
	}
	for _, name := range []string{"origin", "request_id", "trace_id"} {
		m.add("context."+name, m.mark())
	}
}

// everyReader returns readers of all kinds.
func everyReader() (all []*reader.Reader) {
	for _, staff := range []catalogue.Readers{0, catalogue.Admin, catalogue.Auditor, catalogue.Staff} {
		for role := range 8 {
			r := &reader.Reader{Staff: staff}
			if role&1 != 0 {
				r.Self = "u-self"
			}
			if role&2 != 0 {
				r.Projects = []reader.Ref{{Type: "project", ID: "pkg:npm/none"}, {Type: "project", ID: "pkg:npm/%40demo/pkg"}, {Type: "project", ID: "prj-1"}}
			}
			if role&4 != 0 {
				r.Orgs = []reader.Ref{{Type: "org", ID: "org-1"}, {Type: "team", ID: "team-1"}}
			}
			all = append(all, r)
			unmasked := *r
			unmasked.Clear = true
			all = append(all, &unmasked)
		}
	}
	return all
}

// encoded returns all that a disclosure says, as JSON.
func encoded(t testing.TB, d *reader.Disclosure) string {
	t.Helper()
	whole, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal(d.Fields.Event())
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.Write(whole)
	text.Write(shown)
	for _, f := range d.Fields {
		text.WriteString("\n" + f.Text())
	}
	return text.String()
}

// TestNobodyGetsMoreThanTheRules checks disclosures of events of every type to
// every kind of reader against the rules written down a second time. One field
// too many is somebody's address in a stranger's hands; one too few, an incident
// that nobody can make sense of.
func TestNobodyGetsMoreThanTheRules(t *testing.T) {
	policy := newPolicy(t)
	tags := []string{"project:thing:unheard_of", "audit:thing:unheard_of", "nonsense", ""}
	for _, typ := range policy.Catalogue.Types() {
		tags = append(tags, typ.Tag)
	}
	events := 4
	if testing.Short() {
		events = 1
	}
	const looks = 16 // at each event, by some of the readers
	readers := everyReader()
	var gave, masked, kept int
	m := &maker{Rand: rand.New(rand.NewPCG(1, 2))}
	for _, tag := range tags {
		typ, _ := policy.Catalogue.Lookup(tag)
		n := events
		if strings.Contains(tag, ":rare:") {
			n *= 20
		}
		for range n {
			s := newScene(policy.Catalogue, m.event(tag, typ))
			m.Shuffle(len(readers), func(i, k int) { readers[i], readers[k] = readers[k], readers[i] })
			for _, r := range readers[:looks] {
				want := s.rule(r)
				checkRuling(t, policy, s, r, &want)
				gave, masked, kept = gave+len(want.shown), masked+len(want.masked), kept+len(s.fields)-len(want.shown)-len(want.masked)
			}
			if t.Failed() {
				return
			}
		}
	}
	if gave == 0 || masked == 0 || kept == 0 {
		t.Errorf("%d fields shown, %d masked, %d hidden: the test lets nobody see, or everybody", gave, masked, kept)
	}
}

// checkRuling checks one disclosure.
func checkRuling(t *testing.T, policy *reader.Policy, s *scene, r *reader.Reader, want *ruling) {
	t.Helper()
	who := func() string { return fmt.Sprintf("%s to %+v", s.text("tag"), *r) }
	d, ok := policy.Disclose(r, s.fields)
	if ok != want.anything {
		t.Errorf("%s: disclosed = %t, want %t", who(), ok, want.anything)
		return
	}
	if !ok {
		if len(d.Fields)+len(d.Masked) > 0 || d.Country+d.Client != "" || d.As != 0 {
			t.Errorf("%s: nothing is disclosed, but %+v", who(), d)
		}
		return
	}
	var names []string
	for _, f := range d.Fields {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, want.shown) || !slices.Equal(d.Masked, want.masked) {
		t.Errorf("%s:\n shown %s\nmasked %s\n want  %s\n masked %s", who(), names, d.Masked, want.shown, want.masked)
	}
	country, client := "", ""
	if ip, _ := s.fields.Get("context.ip"); want.country {
		country = policy.Derive.Country([16]byte(ip.Value))
	}
	if want.client {
		client, _, _ = strings.Cut(strings.ToLower(s.text("context.user_agent")), "/")
	}
	if d.Country != country || d.Client != client {
		t.Errorf("%s: country %q and client %q, want %q and %q", who(), d.Country, d.Client, country, client)
	}
	text := encoded(t, &d)
	out := make(map[string]bool)
	for _, value := range marks.FindAllString(text, -1) {
		out[value] = true
	}
	for value, names := range s.values {
		allowed := slices.ContainsFunc(names, func(name string) bool { return slices.Contains(want.shown, name) })
		if got := out[value] || !strings.HasPrefix(value, "mark-") && strings.Contains(text, value); got != allowed {
			t.Errorf("%s: %q of %s comes out = %t, want %t", who(), value, names, got, allowed)
		}
	}
}

var marks = regexp.MustCompile(`mark-\d+-`)

// values returns the names of the fields with each value that can be told from
// all others.
func values(fields event.Fields) map[string][]string {
	m := make(map[string][]string)
	for _, f := range fields {
		text := f.Text()
		if mark := marks.FindString(text); mark != "" {
			text = mark
		} else if f.Type != event.IP {
			continue
		}
		m[text] = append(m[text], f.Name)
	}
	return m
}
