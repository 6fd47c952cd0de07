package npm

import (
	"hash/maphash"

	"github.com/custody-log/custody/internal/registry"
)

// Limits on what is kept of a package's document, which may have tens of MiB.
const (
	maxVersions    = 16 << 10  // with their names, and whether they are deprecated
	maxVersionText = 512 << 10 // 512 KiB, their names together
	maxText        = 256       // of a tag's version, an owner's name and the like
	maxDetailed    = 16        // versions with all that a publication tells
	maxMessages    = 64        // different texts of deprecations
	maxMessage     = 1 << 10   // 1 KiB of each
	maxTags        = 512
	maxOwners      = 512
	maxAttachments = 32
	maxTopMembers  = 64
	maxDepends     = 1 << 10  // dependencies of one version, by name
	maxDependNames = 64 << 10 // 64 KiB, their names together
	maxDependSums  = 32 << 10 // dependencies of all versions as they were, at 8 bytes each
	maxDependSets  = 1 << 10  // versions as they were whose dependencies are kept
)

// A packument is a visitor that keeps of a package's document what can be told
// about a change of it. The document is one that the registry has, or one that
// a client sends to change it.
type packument struct {
	seed  maphash.Seed
	sent  bool       // a client sends it
	known *packument // then, the document as it was; nil if that is not known

	members   []string // names at the top
	id, name  string
	rev       string
	access    string
	tags      map[string]string
	versions  map[string]*version
	owners    []string // by place in the document; "" where no name was
	files     map[string]*attachment
	messages  map[uint64]string
	depends   []dependSet // of a document as it was: of the versions that came last
	sums      int         // in depends
	detailed  int
	nameBytes int // of dependencies in details
	textBytes int // of versions
	ambiguous bool
	truncated bool
}

// A version is what is kept of one version.
type version struct {
	deprecated bool
	marked     bool   // there is a member "deprecated", whatever it says
	message    uint64 // hash of the text
	detail     *detail
}

// A detail is what is kept of a version that may be a new one.
type detail struct {
	integrity, shasum string
	installs          bool     // it runs a script when it is installed
	depends           []string // names
}

// A dependSet is what one version depends on, as hashes of names.
type dependSet struct {
	version string
	sums    []uint64
}

// An attachment is a file that comes with a new version.
type attachment struct {
	contentType string
	claimed     int64 // length, as the client says
	sent        int64 // bytes of base64
}

// newPackument returns a visitor for a document as it was.
func newPackument(seed maphash.Seed) *packument {
	return &packument{
		seed:     seed,
		tags:     make(map[string]string),
		versions: make(map[string]*version),
		files:    make(map[string]*attachment),
		messages: make(map[uint64]string),
	}
}

// newSent returns a visitor for a document that a client sends. known is nil
// or the document as it was.
func newSent(seed maphash.Seed, known *packument) *packument {
	p := newPackument(seed)
	p.sent, p.known = true, known
	return p
}

// Open implements [registry.Visitor].
func (p *packument) Open(path *registry.Path, kind registry.Kind) bool {
	switch path.Len() {
	case 0:
		return kind == registry.Object
	case 1:
		name := path.Word(0)
		p.member(name)
		switch name {
		case "versions", "dist-tags", "_attachments":
			return kind == registry.Object
		case "maintainers":
			return kind == registry.Array
		}
		return false
	case 2:
		switch name := path.Word(1); path.Word(0) {
		case "versions":
			p.addVersion(name)
			return kind == registry.Object
		case "_attachments":
			p.addFile(name)
			return kind == registry.Object
		case "maintainers":
			p.addOwner("")
			return kind == registry.Object
		}
		return false
	case 3:
		return p.openInVersion(path)
	}
	return false
}

// openInVersion is told of an object in a version.
func (p *packument) openInVersion(path *registry.Path) bool {
	if path.Word(0) != "versions" {
		return false
	}
	v := p.versions[path.Word(1)]
	switch path.Word(2) {
	case "deprecated":
		p.deprecate(v, registry.Value{Kind: registry.Object})
	case "dependencies", "optionalDependencies", "peerDependencies":
		return v != nil && (!p.sent || v.detail != nil && p.known != nil)
	case "scripts", "dist":
		return v != nil && v.detail != nil
	}
	return false
}
