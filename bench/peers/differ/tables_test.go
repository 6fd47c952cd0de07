package differ

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	_ "modernc.org/sqlite" // the driver

	"github.com/custody-log/custody/catalogue"
)

// What is known of events: a row for each, and rows for what it is found by,
// for its texts, its metadata and what it is counted by. All values are bytes.
const schema = `
CREATE TABLE events (seq INTEGER PRIMARY KEY, micros INTEGER, tag BLOB, class BLOB, outcome BLOB, severity BLOB, country BLOB, source BLOB, trust BLOB, ip BLOB);
CREATE TABLE keys (seq INTEGER, kind TEXT, value BLOB, lower BLOB);
CREATE TABLE texts (seq INTEGER, words BLOB, lower BLOB);
CREATE TABLE metadata (seq INTEGER, key TEXT, value BLOB);
CREATE TABLE facets (seq INTEGER, field TEXT, value BLOB, UNIQUE (seq, field, value) ON CONFLICT IGNORE);
CREATE TABLE hits (seq INTEGER PRIMARY KEY);
CREATE INDEX metadata_key ON metadata (key, value);
CREATE INDEX keys_value ON keys (kind, value);
CREATE INDEX facets_field ON facets (field, seq);
`

// A party is who did it, or for whom.
type party struct{ Type, ID, Name string }

// A message is an event as it is sent.
type message struct {
	ID, Tag, Outcome, Reason string
	ReasonInternal           string `json:"reason_internal"`
	Time                     time.Time
	Actor                    party
	OnBehalfOf               party `json:"on_behalf_of"`
	Subjects                 []struct{ Type, ID, Name, Version, Role string }
	Credential               struct{ Kind, ID, Name, MFA string }
	OIDC                     map[string]string
	Context                  struct {
		IP, Origin string
		UserAgent  string `json:"user_agent"`
		RequestID  string `json:"request_id"`
		TraceID    string `json:"trace_id"`
	}
	Changes  []struct{ Field, Old, New json.RawMessage }
	Metadata map[string]json.RawMessage
}

// Tables are what SQLite knows, and what was put into them, to ask about.
type tables struct {
	*sql.DB
	keys     map[string][]string // values, by kind
	texts    []string
	metadata [][2]string
	times    []int64
}

func countryOf(a [16]byte) string { return [...]string{"NL", "CZ", "DE", ""}[a[15]%4] }

func newTables(t *testing.T, list [][]byte, c *catalogue.Catalogue) *tables {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	x := &tables{DB: db, keys: make(map[string][]string)}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for seq, data := range list {
		w := &rows{t: t, tx: tx, tables: x, seq: seq}
		if err := json.Unmarshal(data, &w.message); err != nil {
			t.Fatalf("event %d: %v", seq, err)
		}
		w.all(c)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return x
}

// Rows writes the rows of one event.
type rows struct {
	message
	*tables
	t   *testing.T
	tx  *sql.Tx
	seq int
}

func (w *rows) insert(table string, values ...any) {
	w.t.Helper()
	marks := strings.TrimSuffix(strings.Repeat("?,", len(values)+1), ",")
	if _, err := w.tx.ExecContext(w.t.Context(), "INSERT INTO "+table+" VALUES ("+marks+")", append([]any{w.seq}, values...)...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *rows) key(value string, kinds ...string) {
	for _, kind := range kinds {
		if value != "" {
			w.insert("keys", kind, []byte(value), []byte(strings.ToLower(value)))
			w.keys[kind] = append(w.keys[kind], value)
		}
	}
}

func (w *rows) facet(field, value string) {
	if value != "" {
		w.insert("facets", field, []byte(value))
	}
}

func (w *rows) text(value string) {
	if value != "" {
		w.insert("texts", joined(wordsOf(value)), []byte(strings.ToLower(value)))
		w.texts = append(w.texts, value)
	}
}

// joined returns words with a zero around each.
func joined(words []string) []byte { return []byte("\x00" + strings.Join(words, "\x00") + "\x00") }

// wordsOf takes text apart: runs of letters and digits, in lower case, of at
// most 64 bytes.
func wordsOf(s string) []string {
	var words []string
	for _, run := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		word := ""
		for _, r := range run {
			r = unicode.ToLower(r)
			if len(word)+utf8.RuneLen(r) > 64 {
				break
			}
			word += string(r)
		}
		words = append(words, word)
	}
	return words
}

func (w *rows) all(c *catalogue.Catalogue) {
	class, _, _ := strings.Cut(w.Tag, ":")
	ip := []byte{} // not NULL, of which NOT is NULL too
	country := ""
	if w.Context.IP != "" {
		addr := netip.MustParseAddr(w.Context.IP)
		a := addr.As16()
		ip, country = a[:], countryOf(a)
		w.insert("keys", "ip", ip, []byte(addr.Unmap().String()))
		w.keys["ip"] = append(w.keys["ip"], addr.Unmap().String())
		w.facet("ip", addr.Unmap().String())
		w.facet("country", country)
	}
	severity := string(c.SeverityOf(w.Tag))
	w.insert("events", w.Time.UnixMicro(), []byte(w.Tag), []byte(class), []byte(w.Outcome), []byte(severity), []byte(country), []byte("registry"), []byte("witnessed"), ip)
	w.times = append(w.times, w.Time.UnixMicro())
	for field, value := range map[string]string{
		"tag": w.Tag, "class": class, "severity": severity, "outcome": w.Outcome, "source": "registry", "trust": "witnessed",
		"actor_type": w.Actor.Type, "credential_kind": w.Credential.Kind, "mfa": w.Credential.MFA, "origin": w.Context.Origin,
	} {
		w.facet(field, value)
	}
	w.key(w.Tag, "tag")
	w.key(w.Outcome, "outcome")
	w.key("registry", "source")
	w.key("witnessed", "trust")
	w.key(w.Actor.ID, "actor", "user")
	w.key(w.Actor.Name, "actor", "user")
	w.key(w.OnBehalfOf.ID, "on_behalf_of", "user")
	w.key(w.OnBehalfOf.Name, "on_behalf_of", "user")
	w.facet("actor", either(w.Actor.Name, w.Actor.ID))
	w.facet("on_behalf_of", either(w.OnBehalfOf.Name, w.OnBehalfOf.ID))
	w.key(w.Credential.ID, "token")
	w.facet("token", w.Credential.ID)
	w.key(w.Context.RequestID, "request")
	w.key(w.Context.TraceID, "request")
	client := strings.ToLower(product(w.Context.UserAgent))
	w.key(client, "client")
	w.facet("client", client)
	w.facet("user_agent", w.Context.UserAgent)
	for _, s := range []string{w.Reason, w.ReasonInternal, w.Actor.Name, w.OnBehalfOf.Name, w.Credential.Name, w.Context.UserAgent, w.Context.Origin} {
		w.text(s)
	}
	for _, s := range w.OIDC {
		w.text(s)
	}
	w.subjects()
	w.rest()
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// product returns the first product of a user agent.
func product(agent string) string {
	agent = strings.TrimLeft(agent, " \t")
	if i := strings.IndexFunc(agent, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}); i >= 0 {
		return agent[:i]
	}
	return agent
}

func (w *rows) subjects() {
	for _, s := range w.Subjects {
		w.key(s.Version, "version")
		w.facet("version", s.Version)
		w.text(s.Name)
		w.text(s.Version)
		w.text(s.Role)
		switch s.Type {
		case "user":
			w.key(s.ID, "user")
			w.key(s.Name, "user")
			w.facet("user", either(s.Name, s.ID))
		case "org", "team":
			w.key(s.ID, "org")
			w.key(s.Name, "org")
			w.facet("org", either(s.Name, s.ID))
		case "token":
			w.key(s.ID, "token")
			w.facet("token", s.ID)
		case "project", "version", "file":
			for _, key := range packageKeys(s.ID) {
				w.key(key, "project")
			}
			if s.Type == "file" {
				w.facet("project", s.ID)
				break
			}
			w.key(s.Name, "project")
			w.facet("project", either(s.Name, s.ID))
		}
	}
}

// packageKeys returns what a project of the given id is found by.
func packageKeys(id string) []string {
	if !strings.HasPrefix(id, "pkg:") {
		return []string{id}
	}
	id = unescaped(id)
	base, _, _ := strings.Cut(id, "?")
	base, _, _ = strings.Cut(base, "#")
	slash := strings.LastIndex(base, "/")
	if at := strings.LastIndex(base, "@"); at > slash+1 {
		base = base[:at]
	}
	_, name, _ := strings.Cut(base, "/")
	return []string{id, base, name}
}

// unescaped undoes percent-encoding where there is one.
func unescaped(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

func (w *rows) rest() {
	for _, c := range w.Changes {
		for _, raw := range []json.RawMessage{c.Field, c.Old, c.New} {
			if value, isText := textOf(raw); isText {
				w.text(value)
			}
		}
	}
	for key, raw := range w.Metadata {
		value, isText := textOf(raw)
		if value == "" {
			continue
		}
		if isText {
			w.text(value)
		}
		values := []string{value}
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) == nil {
			for _, element := range list {
				s, _ := textOf(element)
				values = append(values, s)
			}
		}
		for _, s := range values {
			w.insert("metadata", key, []byte(s))
			w.metadata = append(w.metadata, [2]string{key, s})
		}
	}
}

// textOf returns a value as people see it, and whether it is searched for words.
func textOf(raw json.RawMessage) (value string, isText bool) {
	if len(raw) == 0 {
		return "", false
	}
	if json.Unmarshal(raw, &value) == nil {
		return value, true
	}
	if _, err := strconv.ParseInt(string(raw), 10, 64); err == nil || string(raw) == "true" || string(raw) == "false" {
		return string(raw), false
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		panic(fmt.Sprintf("%q: %v", raw, err))
	}
	return b.String(), true
}
