package differ

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A condition is a part of a query, as text for the store and as SQL about a row
// e of events.
type condition struct {
	text string
	sql  string
	args []any
}

// A drawing draws conditions about what the tables hold.
type drawing struct {
	*tables
	*rand.Rand
}

// node draws a condition of at most the given depth.
func (d *drawing) node(depth int) condition {
	if depth == 0 || d.IntN(3) == 0 {
		return d.term()
	}
	switch d.IntN(5) {
	case 0, 1:
		return both(d.node(depth-1), d.node(depth-1), " ", "AND")
	case 2, 3:
		return both(d.node(depth-1), d.node(depth-1), " OR ", "OR")
	}
	n := d.node(depth - 1)
	return condition{[]string{"NOT (", "-("}[d.IntN(2)] + n.text + ")", "NOT (" + n.sql + ")", n.args}
}

func both(a, b condition, text, sql string) condition {
	return condition{"(" + a.text + text + b.text + ")", "(" + a.sql + " " + sql + " " + b.sql + ")", append(append([]any(nil), a.args...), b.args...)}
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func one(list []string, random *rand.Rand) string { return list[random.IntN(len(list))] }

// term draws a condition about one thing.
func (d *drawing) term() condition {
	switch d.IntN(12) {
	case 0:
		column := one([]string{"tag", "outcome", "severity", "class", "source", "trust"}, d.Rand)
		var values []string
		switch column {
		case "severity":
			values = []string{"info", "warn", "high", "critical"}
		case "class":
			values = []string{"user", "project", "org", "system"}
		default:
			values = d.keys[column]
		}
		value := one(values, d.Rand)
		if column == "tag" && d.IntN(2) == 0 {
			value = value[:1+d.IntN(len(value))]
			return condition{"tag:" + quoted(value) + "*", "substr(e.tag, 1, ?) = ?", []any{len(value), []byte(value)}}
		}
		return condition{column + ":" + quoted(value), "e." + column + " = ?", []any{[]byte(value)}}
	case 1:
		country := one([]string{"NL", "CZ", "DE", "FR"}, d.Rand)
		return condition{"country:" + country, "e.country = ?", []any{[]byte(country)}}
	case 2:
		return d.time()
	case 3:
		return d.address()
	case 4:
		return d.member()
	case 5, 6, 7:
		return d.words()
	}
	return d.key()
}

func (d *drawing) time() condition {
	micros := d.times[d.IntN(len(d.times))]
	text := time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)
	if d.IntN(2) == 0 {
		return condition{"after:" + text, "e.micros >= ?", []any{micros}}
	}
	return condition{"before:" + text, "e.micros < ?", []any{micros}}
}

func (d *drawing) address() condition {
	text := one(d.keys["ip"], d.Rand)
	a := netip.MustParseAddr(text)
	first := a.As16()
	if d.IntN(2) == 0 {
		return condition{"ip:" + text, "e.ip = ?", []any{first[:]}}
	}
	p, err := a.Prefix(a.BitLen() - d.IntN(a.BitLen()/2))
	if err != nil {
		panic(err)
	}
	first = p.Masked().Addr().As16()
	last := first
	for i := 128 - (a.BitLen() - p.Bits()); i < 128; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	return condition{"ip:" + p.String(), "e.ip BETWEEN ? AND ?", []any{first[:], last[:]}}
}

func (d *drawing) member() condition {
	m := d.metadata[d.IntN(len(d.metadata))]
	key, value := m[0], m[1]
	in := "e.seq IN (SELECT seq FROM metadata WHERE key = ? AND "
	switch d.IntN(3) {
	case 0:
		return condition{"metadata." + key + ":*", in + "1)", []any{key}}
	case 1:
		if cut := cutAt(value, d.Rand); cut != "" {
			return condition{"metadata." + key + ":" + quoted(cut) + "*", in + "substr(value, 1, ?) = ?)", []any{key, len(cut), []byte(cut)}}
		}
	}
	return condition{"metadata." + key + ":" + quoted(value), in + "value = ?)", []any{key, []byte(value)}}
}

// cutAt returns the beginning of s, some whole characters.
func cutAt(s string, random *rand.Rand) string {
	cut := random.IntN(len(s) + 1)
	for cut > 0 && !utf8.RuneStart((s + " ")[cut]) {
		cut--
	}
	return s[:cut]
}

// key draws a condition about one of the values by which events are found.
func (d *drawing) key() condition {
	kind := one([]string{"actor", "on_behalf_of", "user", "project", "org", "token", "client", "version", "request"}, d.Rand)
	value := "nobody"
	if list := d.keys[kind]; len(list) > 0 && d.IntN(20) > 0 {
		value = one(list, d.Rand)
	}
	in := "e.seq IN (SELECT seq FROM keys WHERE kind = ? AND "
	if d.IntN(4) == 0 {
		value = cutAt(value, d.Rand)
		if value == "" {
			return condition{kind + ":*", in + "1)", []any{kind}}
		}
		return condition{kind + ":" + quoted(value) + "*", in + "substr(value, 1, ?) = ?)", []any{kind, len(value), []byte(value)}}
	}
	return condition{kind + ":" + quoted(value), in + "value = ?)", []any{kind, []byte(value)}}
}

// words draws a condition about text.
func (d *drawing) words() condition {
	s := one(d.texts, d.Rand)
	if d.IntN(4) == 0 {
		s = one(d.keys[one([]string{"actor", "project", "ip", "tag", "token", "request", "version"}, d.Rand)], d.Rand)
	}
	if d.IntN(2) == 0 { // a part of it
		if fields := strings.Fields(s); len(fields) > 0 {
			s = one(fields, d.Rand)
		}
	}
	words := wordsOf(s)
	const texts, keys = "e.seq IN (SELECT seq FROM texts WHERE ", "e.seq IN (SELECT seq FROM keys WHERE "
	last, _ := utf8.DecodeLastRuneInString(s)
	part := cutAt(s, d.Rand)
	switch {
	case len(words) == 0, d.IntN(5) == 0 && part != "":
		if part == "" {
			part = "x"
		}
		lower := []byte(strings.ToLower(part))
		return condition{"*" + quoted(part) + "*", "(" + texts + "instr(lower, ?) > 0) OR " + keys + "instr(lower, ?) > 0))", []any{lower, lower}}
	case d.IntN(4) == 0 && (unicode.IsLetter(last) || unicode.IsDigit(last)):
		begun := bytes.TrimSuffix(joined(words), []byte{0})
		return condition{quoted(s) + "*", texts + "instr(words, ?) > 0)", []any{begun}}
	}
	project, address := s, []byte("none")
	if strings.HasPrefix(s, "pkg:") {
		project = unescaped(s)
	}
	if a, err := netip.ParseAddr(s); err == nil {
		b := a.As16()
		address = b[:]
	}
	return condition{
		quoted(s),
		"(" + texts + "instr(words, ?) > 0) OR " + keys + "kind = 'project' AND value = ? OR kind = 'ip' AND value = ? OR kind NOT IN ('project', 'ip') AND value = ?))",
		[]any{joined(words), []byte(project), address, []byte(s)},
	}
}

func (c condition) String() string { return fmt.Sprintf("%s\n  %s %q", c.text, c.sql, c.args) }
