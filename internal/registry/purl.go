package registry

import "strings"

// A Package names a package, or one version of it, as a package URL does.
type Package struct {
	Type       string // for example "npm"
	Namespace  string // for example "@scope"; may be empty, or several words with slashes between
	Name       string
	Version    string // empty: the package itself
	Repository string // address of the registry; empty for the usual one of this type
}

// URL returns the package URL. Letters keep their case, also where the
// specification asks for lower case: registries keep packages apart that
// differ in nothing else.
func (p Package) URL() string {
	var b strings.Builder
	b.WriteString("pkg:")
	b.WriteString(p.Type)
	b.WriteByte('/')
	if p.Namespace != "" {
		for word := range strings.SplitSeq(p.Namespace, "/") {
			escape(&b, word)
			b.WriteByte('/')
		}
	}
	escape(&b, p.Name)
	if p.Version != "" {
		b.WriteByte('@')
		escape(&b, p.Version)
	}
	if p.Repository != "" {
		b.WriteString("?repository_url=")
		escape(&b, p.Repository)
	}
	return b.String()
}

// escape writes s percent-encoded but for what a package URL never encodes.
func escape(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if isUnreserved(c) || c == ':' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
}
