package export

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
)

// AppendJSON appends r as the object that the API shows, without a line end.
// The form is frozen: a bundle's rows are made again from its receipts, and
// compared.
func AppendJSON(dst []byte, r *Row) ([]byte, error) {
	p := takePlaces()
	defer p.giveBack()
	p.fill(r.Record)
	return appendRow(dst, p, r, r.Record.Commitment)
}

// AppendShown is [AppendJSON] for a reader who may not be shown all of an event: of
// the fields that they are shown, whatever the record in r. Two members that an
// export always has, the ID and the actor, are left out where nothing of them is
// shown.
func AppendShown(dst []byte, r *Row, shown event.Fields, c event.Commitment) ([]byte, error) {
	p := takePlaces()
	defer p.giveBack()
	p.fillFields(shown)
	p.noID, p.noActor = p.by[idCode] == nil, !slices.ContainsFunc(shown, isOfActor)
	return appendRow(dst, p, r, c)
}

// isOfActor reports whether a field is one of the actor's, be it one that this
// version has no place for.
func isOfActor(f event.Field) bool { return strings.HasPrefix(f.Name, "actor.") }

// AppendString appends s as a JSON string, as all strings of rows are.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }

// appendRow appends the object of the event in p. Of r it takes all but the
// record.
func appendRow(dst []byte, p *places, r *Row, c event.Commitment) ([]byte, error) {
	start := len(dst)
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendInt(dst, r.Seq, 10)
	dst, err := appendEvent(dst, p)
	if err != nil {
		return nil, err
	}
	dst = append(dst, `,"text":`...)
	dst = appendString(dst, r.Text)
	dst = append(dst, `,"class":`...)
	dst = appendString(dst, r.Class)
	dst = append(dst, `,"severity":`...)
	dst = appendString(dst, r.Severity)
	dst = append(dst, `,"commitment":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, c[:])
	dst = append(dst, `"}`...)
	if len(dst)-start > maxRowBytes {
		return nil, errTooLong
	}
	return dst, nil
}

// appendEvent appends the members of an event, each after a comma, in the
// order of [event.Event].
func appendEvent(dst []byte, p *places) ([]byte, error) {
	if !p.noID {
		dst = append(dst, `,"id":`...)
		dst = p.appendString(dst, idCode)
	}
	dst = append(dst, `,"tag":`...)
	dst = p.appendString(dst, tagCode)
	dst = append(dst, `,"time":`...)
	dst, err := appendTime(dst, p.by[timeCode])
	if err != nil {
		return nil, err
	}
	dst = p.appendOptional(dst, "outcome", outcomeCode)
	if !p.noActor {
		dst = append(dst, `,"actor":`...)
		dst = p.appendObject(dst, actorMembers, 0)
	}
	for _, o := range []struct {
		name string
		list []member
	}{{"on_behalf_of", onBehalfOfMembers}, {"credential", credentialMembers}, {"oidc", oidcMembers}} {
		dst = p.appendOptionalObject(dst, o.name, o.list)
	}
	if p.subjects > 0 {
		dst = append(dst, `,"subjects":`...)
		dst = p.appendSubjects(dst)
	}
	dst = p.appendOptionalObject(dst, "context", contextMembers)
	if p.changes > 0 {
		dst = append(dst, `,"changes":`...)
		if dst, err = p.appendChanges(dst); err != nil {
			return nil, err
		}
	}
	if len(p.metadata) > 0 {
		dst = append(dst, `,"metadata":`...)
		if dst, err = p.appendMetadata(dst); err != nil {
			return nil, err
		}
	}
	dst = p.appendOptional(dst, "reason", reasonCode)
	dst = p.appendOptional(dst, "reason_internal", reasonInternalCode)
	if f := p.by[sourceSeqCode]; f != nil && f.Int() != 0 {
		dst = append(dst, `,"source_seq":`...)
		dst = strconv.AppendInt(dst, f.Int(), 10)
	}
	dst = p.appendOptional(dst, "source", sourceCode)
	if f := p.by[receivedCode]; f != nil {
		dst = append(dst, `,"received":`...)
		if dst, err = appendTime(dst, f); err != nil {
			return nil, err
		}
	}
	return p.appendOptional(dst, "trust", trustCode), nil
}

// appendOptional appends a member that is left out when it says nothing.
func (p *places) appendOptional(dst []byte, name string, code int) []byte {
	f := p.by[code]
	if f == nil || len(f.Value) == 0 {
		return dst
	}
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return appendFieldText(dst, f)
}

// appendOptionalObject appends an object that is left out when it is empty.
func (p *places) appendOptionalObject(dst []byte, name string, list []member) []byte {
	if !p.has(list, 0) {
		return dst
	}
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return p.appendObject(dst, list, 0)
}

// appendObject appends an object of texts.
func (p *places) appendObject(dst []byte, list []member, offset int) []byte {
	dst = append(dst, '{')
	first := true
	for _, m := range list {
		f := p.by[m.code+offset]
		if f == nil || len(f.Value) == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(dst, m.name...)
		dst = append(dst, `":`...)
		dst = appendFieldText(dst, f)
	}
	return append(dst, '}')
}

// appendSubjects appends the array of subjects.
func (p *places) appendSubjects(dst []byte) []byte {
	dst = append(dst, '[')
	for n := range p.subjects {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = p.appendObject(dst, subjectMembers, n*subjectStep)
	}
	return append(dst, ']')
}

// appendChanges appends the array of changes.
func (p *places) appendChanges(dst []byte) (_ []byte, err error) {
	dst = append(dst, '[')
	for n := range p.changes {
		if n > 0 {
			dst = append(dst, ',')
		}
		offset := n * changeStep
		dst = append(dst, `{"field":`...)
		dst = p.appendString(dst, changeMembers[0].code+offset)
		for _, m := range changeMembers[1:] {
			f := p.by[m.code+offset]
			if f == nil {
				continue
			}
			dst = append(dst, `,"`...)
			dst = append(dst, m.name...)
			dst = append(dst, `":`...)
			if dst, err = appendValue(dst, f); err != nil {
				return nil, err
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, ']'), nil
}

// appendMetadata appends the object of metadata.
func (p *places) appendMetadata(dst []byte) (_ []byte, err error) {
	for i, f := range p.metadata {
		if i == 0 {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, metadataKey(f))
		dst = append(dst, ':')
		if dst, err = appendValue(dst, f); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// appendValue appends the value of a field that takes the type of what was
// sent.
func appendValue(dst []byte, f *event.Field) ([]byte, error) {
	switch f.Type {
	case event.Int:
		return strconv.AppendInt(dst, f.Int(), 10), nil
	case event.Bool:
		return strconv.AppendBool(dst, len(f.Value) == 1 && f.Value[0] == 1), nil
	case event.JSON:
		// It is written as it is, so it must not be able to end what it is in.
		if isPlain(f.Value) && json.Valid(f.Value) {
			return append(dst, f.Value...), nil
		}
		var compact, safe bytes.Buffer
		if err := json.Compact(&compact, f.Value); err != nil {
			return nil, fmt.Errorf("field %s is not JSON: %w", strconv.Quote(f.Name), err)
		}
		json.HTMLEscape(&safe, compact.Bytes())
		return append(dst, safe.Bytes()...), nil
	case event.String, event.Time, event.IP:
	}
	return appendFieldText(dst, f), nil
}

// isPlain reports whether there is nothing in a value that is JSON that is to be
// escaped or left out: what could be, is not in it, not even within a string.
func isPlain(value []byte) bool {
	for _, c := range value {
		if c <= ' ' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendString appends the text of the field with the given code as a JSON string,
// an empty one if there is no such field.
func (p *places) appendString(dst []byte, code int) []byte {
	if f := p.by[code]; f != nil {
		return appendFieldText(dst, f)
	}
	return append(dst, `""`...)
}

// appendFieldText appends the text of a field as a JSON string.
func appendFieldText(dst []byte, f *event.Field) []byte {
	switch f.Type {
	case event.String:
		return appendString(dst, f.Value)
	case event.IP:
		if address := f.IP(); address.IsValid() {
			return append(address.AppendTo(append(dst, '"')), '"')
		}
	case event.Int, event.Bool, event.Time, event.JSON:
	}
	return appendString(dst, f.Text())
}

// appendTime appends the time in a field, or the zero time, which readers of
// the API know as "not said".
func appendTime(dst []byte, f *event.Field) ([]byte, error) {
	var t time.Time
	if f != nil {
		t = f.Time()
	}
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("field %s is in the year %d", f.Name, y)
	}
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"'), nil
}

// appendString appends s as a JSON string, escaped as [json.Marshal] does.
func appendString[S string | []byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if asItIs[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[from:i]...)
			dst = appendEscape(dst, c)
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, s[from:i]...)
			dst = append(dst, `\ufffd`...)
			from = i + size
		case r == '\u2028' || r == '\u2029':
			dst = append(dst, s[from:i]...)
			dst = append(dst, `\u202`...)
			dst = append(dst, hexDigits[r&15])
			from = i + size
		}
		i += size
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// asItIs says which bytes stand for themselves in a JSON string. Nobody changes it.
var asItIs = func() (list [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		list[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return list
}()

const hexDigits = "0123456789abcdef"

// appendEscape appends the escape of one byte.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
