package api_test

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	readers "github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/proof"
)

// A marked log has an event of each type that the catalogue knows, and of some
// that it does not, with another marker in each field of each event.
type marked struct {
	*bench

	events []event.Fields // by position
	as     []*as
}

// An as is somebody who reads.
type as struct {
	name   string
	reader readers.Reader
	sees   map[string]bool // markers that they may see somewhere
}

// The people of a marked log: who reads as one of these has a part in some events.
const (
	selfID    = "u-self"
	projectID = "p-own"
	orgID     = "o-own"
)

// markerPattern finds all markers. Numbers and addresses are markers, too.
var markerPattern = regexp.MustCompile(`zq\d+q\d+x|\b77\d{7}\b|\b10\.\d+\.\d+\.\d+\b`)

// A marker makes markers for one event.
type marker struct{ event, next int }

func (m *marker) text() string {
	m.next++
	return fmt.Sprintf("zq%dq%dx", m.event, m.next)
}

func (m *marker) number() int64 {
	m.next++
	return 770000000 + int64(m.event)*200 + int64(m.next)
}

// openMarked starts a marked log with a key for each kind of reader.
func openMarked(t testing.TB, every int) *marked {
	t.Helper()
	m := &marked{bench: open(t, new(disk.Mem))}
	n := 0
	for i, typ := range m.api.Catalogue.Types() {
		if i%every == 0 {
			for variant := range 2 {
				m.record(typ.Tag, typ, variant, n)
				n++
			}
		}
	}
	for variant := range 2 {
		m.record("project:unheard:of", nil, variant, n)
		n++
	}
	records, err := m.journal.Read(0, int(m.journal.Size()))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		record, err := event.DecodeRecord(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		m.events = append(m.events, record.Open())
	}
	m.addReaders()
	return m
}

// addReaders makes the keys, and finds out what each reader may see.
func (m *marked) addReaders() {
	m.t.Helper()
	for name, reads := range map[string][]auth.Reading{
		"everything":         {{As: auth.AsEverything}},
		"auditor":            {{As: auth.AsAuditor}},
		"admin":              {{As: auth.AsAdmin}},
		"admin, also a user": {{As: auth.AsAdmin}, {As: auth.AsUser, ID: selfID}},
		"self":               {{As: auth.AsUser, ID: selfID}},
		"owner":              {{As: auth.AsProject, Type: "project", ID: projectID}},
		"org":                {{As: auth.AsOrg, ID: orgID}},
		"public":             {{As: auth.AsPublic}},
		"nobody":             {{As: auth.AsUser, ID: "u-nobody"}},
	} {
		_, secret, err := m.api.Keys.Create(name, "reading", []string{auth.Read}, reads...)
		if err != nil {
			m.t.Fatal(err)
		}
		m.keys[name] = secret
		a := &as{name: name, reader: readerFor(reads), sees: make(map[string]bool)}
		for _, fields := range m.events {
			d, _ := m.room.Policy.Disclose(&a.reader, fields)
			for i := range d.Fields {
				a.note(d.Fields[i].Text())
			}
			a.note(d.Client)
		}
		m.as = append(m.as, a)
	}
	slices.SortFunc(m.as, func(a, b *as) int { return strings.Compare(a.name, b.name) })
}

func readerFor(reads []auth.Reading) (r readers.Reader) {
	for _, one := range reads {
		switch one.As {
		case auth.AsEverything:
			r.Staff, r.Clear = catalogue.Staff, true
		case auth.AsAuditor:
			r.Staff |= catalogue.Auditor
		case auth.AsAdmin:
			r.Staff |= catalogue.Admin
		case auth.AsUser:
			r.Self = one.ID
		case auth.AsProject:
			r.Projects = append(r.Projects, readers.Ref{Type: one.Type, ID: one.ID})
		case auth.AsOrg:
			r.Orgs = append(r.Orgs, readers.Ref{Type: "org", ID: one.ID})
		case auth.AsPublic:
		}
	}
	return r
}

func (a *as) note(text string) {
	for _, found := range markerPattern.FindAllString(text, -1) {
		a.sees[found] = true
	}
}

// record records an event of a type. In one variant the readers are whom it is
// about, in the other one acted and the others have no part in it.
func (m *marked) record(tag string, typ *catalogue.Type, variant, number int) {
	m.t.Helper()
	k := &marker{event: number}
	e := markedEvent(k)
	e.Tag, e.Time = tag, time.Date(2026, 4, 1, number/60, number%60, 0, 0, time.UTC)
	project, org, user := projectID, orgID, selfID
	if variant == 1 {
		e.Actor.ID, project, org, user = selfID, "p-other", "o-other", k.text()
	}
	e.Subjects = []event.Subject{
		{Type: "project", ID: project, Name: k.text()},
		{Type: "user", ID: user, Name: k.text(), Role: k.text()},
		{Type: "org", ID: org, Name: k.text()},
		{Type: "token", ID: k.text(), Name: k.text()},
		{Type: "version", ID: k.text(), Name: k.text(), Version: k.text()},
		{Type: "unheard_of", ID: k.text(), Name: k.text()},
	}
	e.Metadata = map[string]any{"not_declared": k.text(), "not_declared_number": k.number()}
	e.Changes = []event.Change{{Field: "not_declared", Old: k.text(), New: k.text()}}
	if typ != nil {
		for i := range typ.Fields {
			e.Metadata[typ.Fields[i].Name] = valueFor(k, &typ.Fields[i])
		}
		for i := range typ.Changes {
			e.Changes = append(e.Changes, event.Change{Field: typ.Changes[i].Name, Old: valueFor(k, &typ.Changes[i]), New: k.text()})
		}
	}
	source := "registry"
	if catalogue.ClassOf(tag) == "audit" || catalogue.ClassOf(tag) == "system" {
		source = intake.OwnSource
	}
	if _, err := m.api.Desk.Record(m.t.Context(), source, e); err != nil {
		m.t.Fatalf("%s: %v", tag, err)
	}
}

// markedEvent returns an event with a marker in each field that all types have.
func markedEvent(k *marker) *event.Event {
	return &event.Event{
		ID: k.text(), Outcome: event.Success, Reason: k.text(), ReasonInternal: k.text(),
		Actor:      event.Party{Type: "user", ID: k.text(), Name: k.text()},
		OnBehalfOf: event.Party{Type: "user", ID: k.text(), Name: k.text()},
		Credential: event.Credential{Kind: "token", ID: k.text(), Name: k.text(), MFA: "totp", Session: k.text()},
		OIDC: event.OIDC{
			Issuer: k.text(), Subject: k.text(), Repository: k.text(), WorkflowRef: k.text(), Ref: k.text(), SHA: k.text(),
			RunID: k.text(), Environment: k.text(),
		},
		Context: event.Context{
			IP: fmt.Sprintf("10.1.%d.%d", k.event/250, k.event%250+1), UserAgent: k.text() + "/1.0 (" + k.text() + ")",
			RequestID: k.text(), TraceID: k.text(), Origin: "cli",
		},
	}
}

func valueFor(k *marker, f *catalogue.Field) any {
	switch f.Type {
	case catalogue.Int:
		return k.number()
	case catalogue.Bool:
		return true
	case catalogue.List:
		return []string{k.text(), k.text()}
	case catalogue.String, catalogue.Text, catalogue.Enum, catalogue.Digest, catalogue.Time, catalogue.IP:
	}
	return k.text()
}

// ask makes a request as somebody, and returns the status and the body.
func (m *marked) ask(who *as, path string) (status int, body string) {
	m.t.Helper()
	w := m.do(call{method: "GET", path: path, scope: who.name})
	return w.Code, w.Body.String()
}

// quickly is ask without holding the answer against the document.
func (m *marked) quickly(who *as, path string) (status int, body string) {
	r := httptest.NewRequestWithContext(m.t.Context(), "GET", path, nil)
	r.Header.Set("Authorization", "Bearer "+m.keys[who.name])
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// check fails if an answer holds a marker that its reader may not see. It returns
// how many it holds.
func (m *marked) check(who *as, what, answer string) int {
	m.t.Helper()
	found := markerPattern.FindAllString(answer, -1)
	for _, one := range found {
		if !who.sees[one] {
			m.t.Errorf("%s: %s has %s: %.300s", who.name, what, one, answer)
			break
		}
	}
	return len(found)
}

// opened returns an export in a form that markers are found in.
func opened(t testing.TB, format, data string) string {
	t.Helper()
	switch format {
	case "csv":
		rows, err := csv.NewReader(strings.NewReader(data)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(rows)
	case "parquet":
		return openedParquet(t, data)
	case "records", "receipts":
		var text strings.Builder
		for line := range strings.Lines(data) {
			openLine(t, line, &text)
		}
		return text.String()
	}
	return data
}

func openedParquet(t testing.TB, data string) string {
	t.Helper()
	file, err := parquet.OpenFile(strings.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		buf := make([]parquet.Row, 64)
		for {
			n, err := rows.ReadRows(buf)
			for _, row := range buf[:n] {
				for _, value := range row {
					fmt.Fprintln(&text, value.String())
				}
			}
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// openLine writes what one line of the forms for programs says.
func openLine(t testing.TB, line string, text *strings.Builder) {
	t.Helper()
	var row struct{ Record, Receipt, Text string }
	if err := json.Unmarshal([]byte(line), &row); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(text, row.Text)
	if row.Receipt != "" {
		fmt.Fprintln(text, openedReceipt(t, row.Receipt))
	}
	if row.Record == "" {
		return
	}
	body, err := base64.StdEncoding.DecodeString(row.Record)
	if err != nil {
		t.Fatal(err)
	}
	record, err := event.DecodeRecord(body)
	if err != nil {
		t.Fatal(err)
	}
	if record.Secrets != (event.Secrets{}) {
		t.Error("an export gives away the secrets of an event")
	}
	for i := range record.Fields {
		fmt.Fprintln(text, record.Fields[i].Name, record.Fields[i].Text(), string(record.Fields[i].Value))
	}
}

// openedReceipt returns what can be read in a receipt.
func openedReceipt(t testing.TB, data string) string {
	t.Helper()
	receipt, err := proof.ParseReceipt([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range receipt.Disclosure.Fields() {
		fmt.Fprintln(&text, f.Name, f.Text())
	}
	return text.String()
}

// visible returns the events of which a reader sees anything.
func (m *marked) visible(who *as) (list []journal.Seq) {
	for seq, fields := range m.events {
		if _, ok := m.room.Policy.Disclose(&who.reader, fields); ok {
			list = append(list, journal.Seq(seq))
		}
	}
	return list
}
