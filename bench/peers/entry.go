package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
)

// An entry is an event as tables keep it: what questions are about in columns
// of their own, everything else in one column.
type entry struct {
	number int64
	id     string // a UUID
	micros int64  // since 1970, when it happened

	tag, outcome   string
	noUser         string // the ID of who did it, if that is none of a user
	ip             string
	user, userName string // who did it or, if that was no person, whom it was done to
	other          string // another user whom it was done to
	project, org   string
	token, request string
	rest           []byte          // all other fields, as one JSON object
	twice          bool            // a column was to have two values
	words          strings.Builder // see text
}

// A reader reads entries with one memory. It is for one goroutine.
type reader struct {
	parser   event.Parser
	entry    entry
	subjects []subjectType
}

// A subjectType says of what type a subject is.
type subjectType struct {
	number string // in the names of its fields
	is     string
}

// read returns the entry of an event. It is valid until the next call.
func (r *reader) read(number int64, data []byte) (*entry, error) {
	fields, err := r.parser.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("peers: event %d: %w", number, err)
	}
	e := &r.entry
	*e = entry{number: number, rest: e.rest[:0]}
	r.subjects = r.subjects[:0]
	for _, f := range fields {
		if number, member := subjectField(f.Name); member == "type" {
			r.subjects = append(r.subjects, subjectType{number, f.Text()})
		}
	}
	for _, f := range fields {
		if f.Name == "time" {
			e.micros = f.Time().UnixMicro()
			continue
		}
		if f.Name == "actor.type" && f.Text() != "user" {
			e.noUser = e.user // fields are in order, and so actor.id was before it
		}
		if query.IsText(&f) {
			e.search(f.Text())
		}
		if !e.column(f.Name, f.Text(), r.subjects) {
			e.keep(f)
		}
	}
	if e.twice {
		return nil, fmt.Errorf("peers: event %d is about two projects or tokens; the tables have room for one", number)
	}
	e.rest = append(e.rest, '}')
	return e, nil
}

// subjectField returns which subject a field is of, and what it says about it.
func subjectField(name string) (number, member string) {
	rest, ok := strings.CutPrefix(name, "subjects.")
	if !ok {
		return "", ""
	}
	number, member, _ = strings.Cut(rest, ".")
	return number, member
}

// column puts a value where it belongs, and reports whether that is a column.
func (e *entry) column(name, value string, subjects []subjectType) bool {
	switch name {
	case "id":
		e.id = value
	case "tag":
		e.tag = value
	case "outcome":
		e.outcome = value
	case "context.ip":
		e.ip = value
	case "context.request_id":
		e.request = value
	case "actor.id":
		e.user = value
	case "credential.id":
		e.token = value
	case "actor.name":
		if e.user == "" { // not a person's
			return false
		}
		e.userName = value
	default:
		return e.subject(name, value, subjects)
	}
	return true
}

func (e *entry) subject(name, value string, subjects []subjectType) bool {
	number, member := subjectField(name)
	is := ""
	for _, s := range subjects {
		if s.number == number {
			is = s.is
		}
	}
	switch is + " " + member {
	case "project id": // follows from the name
	case "project name":
		e.one(&e.project, value)
	case "org name":
		e.one(&e.org, value)
	case "token id":
		e.one(&e.token, value)
	case "user id":
		switch e.user {
		case "":
			e.user = value
		case value:
		default:
			e.other = value
		}
	case "user name":
		if e.other != "" {
			return false
		}
		e.userName = value
	default:
		return false
	}
	return true
}

// one sets a column that has room for one value.
func (e *entry) one(column *string, value string) {
	e.twice = e.twice || *column != "" && *column != value
	*column = value
}

// keep puts a field among all others.
func (e *entry) keep(f event.Field) {
	if len(e.rest) == 0 {
		e.rest = append(e.rest, '{')
	} else {
		e.rest = append(e.rest, ',')
	}
	e.rest = append(strconv.AppendQuote(e.rest, f.Name), ':')
	e.rest = appendJSON(e.rest, f)
}

// appendJSON appends a field's value.
func appendJSON(dst []byte, f event.Field) []byte {
	text := f.Text()
	if f.Type == event.Int || f.Type == event.Bool || f.Type == event.JSON {
		return append(dst, text...)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		panic("peers: a string that is not JSON: " + err.Error()) // json.Marshal says there is none
	}
	return append(dst, quoted...)
}

// search adds a value to those that are searched for text.
func (e *entry) search(value string) {
	if value != "" {
		e.words.WriteByte(' ')
		e.words.WriteString(value)
	}
}

// text returns all that is searched for words, by Custody's rule: names, versions
// and metadata, but not IDs, types and tags.
func (e *entry) text() string { return e.words.String() }

// eachWord calls do with each word of a text. A word may come more than once.
func eachWord(text string, do func(word string)) {
	query.Words([]byte(text), func(word []byte) { do(string(word)) })
}

// forget takes out of the entry what an erasure of the user takes out.
func (e *entry) forget(user string) {
	switch user {
	case e.other:
		e.other = ""
		e.rest = without(e.rest, personalOfOther)
	case e.user:
		e.user, e.userName, e.ip, e.request = "", "", "", ""
		e.rest = without(e.rest, personalOfUser)
	}
}

// What the names of fields in rest begin with that say something about a person.
var (
	personalOfUser  = []string{"context.", "metadata."}
	personalOfOther = []string{"subjects."}
)

// without returns rest without the fields whose names begin so.
func without(rest []byte, prefixes []string) []byte {
	fields := fieldsOf(rest)
	for name := range fields {
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				delete(fields, name)
			}
		}
	}
	short, err := json.Marshal(fields)
	if err != nil {
		panic("peers: rest of an entry: " + err.Error())
	}
	return short
}

// readText fills in what text returns of an entry that was not read from an
// event.
func (e *entry) readText() {
	e.words.Reset()
	for _, value := range []string{e.userName, e.project, e.org} {
		e.search(value)
	}
	for name, value := range fieldsOf(e.rest) {
		if query.IsText(&event.Field{Name: name, Type: event.String}) {
			e.search(string(value))
		}
	}
}

// fieldsOf returns the fields in rest.
func fieldsOf(rest []byte) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(rest, &fields); err != nil {
		panic("peers: rest of an entry: " + err.Error()) // it was made here
	}
	return fields
}

// idBytes returns the 16 bytes of a UUID.
func idBytes(id string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(b) != 16 {
		panic("peers: not a UUID: " + id) // the parser of events took it for one
	}
	return b
}

// idText returns a UUID as text.
func idText(b []byte) string {
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
