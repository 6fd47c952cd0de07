package npm

import "github.com/custody-log/custody/internal/registry"

// Limits of pairs.
const (
	maxPairs     = 4096
	maxPairsText = 256 << 10 // 256 KiB, names and texts together
)

// pairs is a visitor for a document of names and texts, like {"alice":"owner"}.
type pairs struct {
	byName    map[string]string
	size      int
	full      bool // there were more
	ambiguous bool // a name was there twice
}

func newPairs() *pairs { return &pairs{byName: make(map[string]string)} }

// Open implements [registry.Visitor].
func (*pairs) Open(path *registry.Path, kind registry.Kind) bool {
	return path.Len() == 0 && kind == registry.Object
}

// Value implements [registry.Visitor].
func (p *pairs) Value(path *registry.Path, v registry.Value) {
	if path.Len() != 1 || v.Kind != registry.String {
		return
	}
	name := path.Word(0)
	if _, twice := p.byName[name]; twice {
		p.ambiguous = true
	}
	p.size += len(name) + len(v.Text)
	if len(p.byName) == maxPairs || p.size > maxPairsText {
		p.full = true
		return
	}
	p.byName[name] = string(v.Text)
}
