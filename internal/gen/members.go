package gen

import (
	"strconv"
	"time"

	"github.com/custody-log/custody/catalogue"
)

// actor writes who did it, and with what.
func (g *Generator) actor() {
	a := &g.a
	switch {
	case a.kind.class == "system":
		g.raw(`,"actor":{"type":"admin"`)
		g.text("id", UserID(a.user%50))
		g.text("name", UserName(a.user%50))
		g.raw(`},"credential":{"kind":"session","mfa":"webauthn"}`)
	case a.machine:
		g.raw(`,"actor":{"type":"trusted_publisher"`)
		g.text("name", OrgName(a.org)+"/"+ProjectName(a.project))
		g.raw(`},"credential":{"kind":"oidc"`)
		g.text("id", TokenID(a.token))
		g.raw(`},"oidc":{"run_id":"`)
		g.raw(strconv.Itoa(8_000_000_000 + a.token))
		g.raw(`"}`)
	case a.kind.class == "user":
		g.raw(`,"actor":{"type":"user"`)
		g.text("id", UserID(a.user))
		g.text("name", UserName(a.user))
		g.raw(`},"credential":{"kind":"password"}`)
	default:
		g.raw(`,"actor":{"type":"user"`)
		g.text("id", UserID(a.user))
		g.text("name", UserName(a.user))
		g.raw(`},"credential":{"kind":"token"`)
		g.text("id", TokenID(a.token))
		g.raw(`}`)
	}
}

// subjects writes what it is about: those that the catalogue expects.
func (g *Generator) subjects() {
	if len(g.a.kind.Subjects) == 0 {
		return
	}
	g.raw(`,"subjects":[`)
	for i, subject := range g.a.kind.Subjects {
		if i > 0 {
			g.raw(`,`)
		}
		g.raw(`{"type":"`)
		g.raw(subject)
		g.raw(`"`)
		g.subject(subject)
		g.raw(`}`)
	}
	g.raw(`]`)
}

func (g *Generator) subject(subject string) {
	a := &g.a
	name := ProjectName(a.project)
	switch subject {
	case "project":
		g.text("id", "pkg:npm/"+name)
		g.text("name", name)
	case "version":
		g.text("version", a.version)
	case "file":
		g.text("name", name+"-"+a.version+".tgz")
	case "user":
		g.text("id", UserID(a.user))
		g.text("name", UserName(a.user))
	case "org":
		g.text("name", OrgName(a.org))
	case "token":
		g.text("id", TokenID(a.token))
	default:
		g.text("id", subject+"_"+strconv.Itoa(a.org))
	}
}

// context writes where it came from.
func (g *Generator) context() {
	a := &g.a
	// People have a few addresses of their own; the rest is shared.
	address := int(g.addresses.Uint64())
	if g.random.IntN(10) < 6 {
		address = int(mix(uint64(a.user)*4+g.random.Uint64N(3)) % Addresses)
	}
	g.raw(`,"context":{"ip":"`)
	g.b = Address(address).AppendTo(g.b)
	g.raw(`"`)
	g.text("user_agent", agent(int(g.agents.Uint64())))
	if g.random.IntN(2) == 0 { // not every registry has them
		g.raw(`}`)
		return
	}
	g.text("request_id", hexOf(mix(g.seed<<40+g.made+saltRequest)))
	g.raw(`}`)
}

// maxMetadata is how many keys of metadata an event has at most: those that
// the catalogue requires, and then the first it names.
const maxMetadata = 2

// metadata writes values for some of the keys that the catalogue names.
func (g *Generator) metadata() {
	fields := g.a.kind.Fields
	if len(fields) == 0 {
		return
	}
	g.raw(`,"metadata":{`)
	n := 0
	for _, required := range []bool{true, false} {
		for i := range fields {
			if fields[i].Required != required || !required && (n >= maxMetadata || g.said(&fields[i])) {
				continue
			}
			if n > 0 {
				g.raw(`,`)
			}
			g.raw(`"`)
			g.raw(fields[i].Name)
			g.raw(`":`)
			g.value(&fields[i])
			n++
		}
	}
	g.raw(`}`)
}

// said reports whether the rest of the event says already what f would.
func (g *Generator) said(f *catalogue.Field) bool {
	switch f.Name {
	case "version", "filename", "token_id":
		return true
	}
	return false
}

// value writes a value such as f has.
func (g *Generator) value(f *catalogue.Field) {
	switch f.Type {
	case catalogue.Int:
		g.b = strconv.AppendInt(g.b, int64(1+g.random.ExpFloat64()*50_000), 10)
	case catalogue.Bool:
		g.b = strconv.AppendBool(g.b, g.random.IntN(2) == 0)
	case catalogue.List:
		g.raw(`["` + syllables[g.random.IntN(len(syllables))] + `","` + syllables[g.random.IntN(len(syllables))] + `"]`)
	case catalogue.Time:
		g.raw(`"`)
		g.b = g.a.at.Add(time.Duration(g.random.IntN(3600))*time.Second).AppendFormat(g.b, time.RFC3339)
		g.raw(`"`)
	case catalogue.IP:
		g.raw(`"` + Address(g.random.IntN(Addresses)).String() + `"`)
	case catalogue.Digest:
		g.raw(`"`)
		for range 4 {
			g.raw(hexOf(g.random.Uint64()))
		}
		g.raw(`"`)
	case catalogue.Text:
		g.raw(texts[g.random.IntN(len(texts))])
	case catalogue.Enum, catalogue.String:
		g.raw(`"` + g.word(f) + `"`)
	}
}

// texts are what people write, as JSON; some of it needs escapes.
var texts = []string{
	`"as the owner asked"`, `"duplicate of another project"`, `"spam"`, `"see the ticket"`,
	`"the maintainer wrote: \"please remove it\""`, `"r\u00e9serv\u00e9 pour l'\u00e9quipe"`, `"größer als erlaubt"`,
}

// word returns a short string.
func (g *Generator) word(f *catalogue.Field) string {
	switch {
	case len(f.Values) > 0:
		return f.Values[g.random.IntN(len(f.Values))]
	case f.Name == "version" || f.Name == "canonical_version":
		return g.a.version
	case f.Name == "filename":
		return ProjectName(g.a.project) + "-" + g.a.version + ".tgz"
	case f.Name == "token_id":
		return TokenID(g.a.token)
	}
	return syllables[g.random.IntN(len(syllables))] + "-" + strconv.Itoa(g.random.IntN(1000))
}
