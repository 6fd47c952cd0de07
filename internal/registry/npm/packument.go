package npm

import (
	"hash/maphash"
	"slices"
	"strings"

	"github.com/custody-log/custody/internal/registry"
)

// Limits on what is kept of a package's document, which may have tens of MiB.
const (
	maxVersions    = 16 << 10 // with their names, and whether they are deprecated
	maxDetailed    = 16       // versions with all that a publication tells
	maxMessages    = 64       // different texts of deprecations
	maxMessage     = 1 << 10  // 1 KiB of each
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
	known *packument // the document as it was; nil if that is not known, or if this is it

	members   []string // names at the top
	id, name  string
	rev       string
	access    string
	tags      map[string]string
	versions  map[string]*version
	owners    []string // by place in the document; "" where no name was
	files     map[string]*attachment
	messages  map[uint64]string
	depends   []dependSet // of the versions that came last
	sums      int         // in depends
	detailed  int
	nameBytes int // of dependencies in details
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

func newPackument(seed maphash.Seed, known *packument) *packument {
	return &packument{
		seed: seed, known: known,
		tags:     make(map[string]string),
		versions: make(map[string]*version),
		files:    make(map[string]*attachment),
		messages: make(map[uint64]string),
	}
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
		return v != nil && (v.detail != nil || p.known == nil)
	case "scripts", "dist":
		return v != nil && v.detail != nil
	}
	return false
}

// Value implements [registry.Visitor].
func (p *packument) Value(path *registry.Path, v registry.Value) {
	switch path.Len() {
	case 1:
		p.topValue(path.Word(0), v)
	case 2:
		p.secondValue(path, v)
	case 3:
		p.thirdValue(path, v)
	case 4:
		if path.Is("versions", "*", "*", "*") {
			p.detailValue(p.versions[path.Word(1)], path, v)
		}
	}
}

// member notes that there is a member at the top. When there was one of that
// name before, this one replaces it, but not every reader would agree.
func (p *packument) member(name string) {
	if !slices.Contains(p.members, name) {
		if len(p.members) == maxTopMembers {
			p.truncated = true
			return
		}
		p.members = append(p.members, name)
		return
	}
	p.ambiguous = true
	switch name {
	case "versions":
		clear(p.versions)
		p.depends, p.sums, p.detailed, p.nameBytes = nil, 0, 0, 0
	case "dist-tags":
		clear(p.tags)
	case "_attachments":
		clear(p.files)
	case "maintainers":
		p.owners = nil
	}
}

func (p *packument) topValue(name string, v registry.Value) {
	p.member(name)
	text := ""
	if v.Kind == registry.String {
		text = string(v.Text)
	}
	switch name {
	case "_id":
		p.id = text
	case "name":
		p.name = text
	case "_rev":
		p.rev = text
	case "access":
		p.access = text
	}
}

// secondValue is told what stands for a tag, for an owner, or in place of a
// version or file.
func (p *packument) secondValue(path *registry.Path, v registry.Value) {
	name := path.Word(1)
	switch path.Word(0) {
	case "dist-tags":
		if _, twice := p.tags[name]; twice {
			p.ambiguous = true
		} else if len(p.tags) == maxTags {
			p.truncated = true
			return
		}
		p.tags[name] = string(v.Text)
	case "maintainers":
		owner, _, _ := strings.Cut(string(v.Text), " <")
		p.addOwner(owner)
	case "versions":
		if _, twice := p.versions[name]; twice {
			p.ambiguous = true
			delete(p.versions, name)
		}
		if v.Kind != registry.Null && v.Kind != registry.False {
			p.addVersion(name)
		}
	case "_attachments":
		p.addFile(name)
	}
}

// thirdValue is told a member of a version, owner or file.
func (p *packument) thirdValue(path *registry.Path, v registry.Value) {
	switch path.Word(0) {
	case "versions":
		if path.Word(2) == "deprecated" {
			p.deprecate(p.versions[path.Word(1)], v)
		}
	case "maintainers":
		if path.Word(2) == "name" && v.Kind == registry.String && len(p.owners) > 0 {
			p.owners[len(p.owners)-1] = string(v.Text)
		}
	case "_attachments":
		if f := p.files[path.Word(1)]; f != nil {
			f.set(path.Word(2), v)
		}
	}
}

func (f *attachment) set(member string, v registry.Value) {
	switch member {
	case "content_type":
		f.contentType = string(v.Text)
	case "data":
		f.sent = v.Length
	case "length":
		f.claimed = integer(v)
	}
}

// integer returns a whole number that is not negative, 0 for anything else.
func integer(v registry.Value) int64 {
	var n int64
	if v.Kind != registry.Number || len(v.Text) > 15 {
		return 0
	}
	for _, c := range v.Text {
		if c < '0' || c > '9' {
			return 0
		}
		n = 10*n + int64(c-'0')
	}
	return n
}

// bytes returns the length of the file: what the client says, if that fits what
// it sent.
func (f *attachment) bytes() int64 {
	most := f.sent / 4 * 3
	if f.claimed <= most && f.claimed > most-3 {
		return f.claimed
	}
	return most
}

func (p *packument) addOwner(name string) {
	if len(p.owners) == maxOwners {
		p.truncated = true
		p.owners = p.owners[:maxOwners-1] // so that what follows does not change another's name
	}
	p.owners = append(p.owners, name)
}

func (p *packument) addFile(name string) {
	if _, twice := p.files[name]; twice {
		p.ambiguous = true
	} else if len(p.files) == maxAttachments {
		p.truncated = true
		return
	}
	p.files[name] = new(attachment)
}

func (p *packument) addVersion(name string) {
	if _, twice := p.versions[name]; twice {
		p.ambiguous = true
	} else if len(p.versions) == maxVersions {
		p.truncated = true
		return
	}
	v := new(version)
	isNew := p.known == nil || p.known.versions[name] == nil
	if isNew && p.detailed < maxDetailed {
		v.detail = new(detail)
		p.detailed++
	}
	p.versions[name] = v
	p.depends = append(p.depends, dependSet{version: name})
	if len(p.depends) > maxDependSets {
		p.evict()
	}
}

// evict forgets the dependencies of the version that came first, but not those
// of the one that is installed by default, if that is known already.
func (p *packument) evict() {
	first := 0
	if p.depends[0].version == p.tags["latest"] && len(p.depends) > 1 {
		p.depends[0], p.depends[1] = p.depends[1], p.depends[0]
	}
	p.sums -= len(p.depends[first].sums)
	p.depends = p.depends[1:]
}

// deprecate is told the value of a version's member "deprecated". Registries
// take any value but false, null and "" for a yes.
func (p *packument) deprecate(ver *version, v registry.Value) {
	if ver == nil {
		return
	}
	ver.marked, ver.deprecated, ver.message = true, false, 0
	switch {
	case v.Kind == registry.Null || v.Kind == registry.False:
		return
	case v.Kind == registry.String && v.Length == 0:
		return
	}
	text := string(v.Text)
	if v.Kind != registry.String {
		text = ""
	}
	ver.deprecated = true
	ver.message = maphash.String(p.seed, text)
	if _, kept := p.messages[ver.message]; !kept && len(p.messages) < maxMessages {
		p.messages[ver.message] = registry.Clean(text, maxMessage)
	}
}

// installScripts are run when a package is installed.
var installScripts = []string{"preinstall", "install", "postinstall"}

// detailValue is told a value two levels below a version.
func (p *packument) detailValue(ver *version, path *registry.Path, v registry.Value) {
	name := path.Word(3)
	switch path.Word(2) {
	case "dependencies", "optionalDependencies", "peerDependencies":
		p.addDependency(ver, name)
		return
	}
	if ver == nil || ver.detail == nil || v.Kind != registry.String || len(v.Text) == 0 && !v.Dropped {
		return
	}
	switch path.Word(2) {
	case "scripts":
		ver.detail.installs = ver.detail.installs || slices.Contains(installScripts, name)
	case "dist":
		switch name {
		case "integrity":
			ver.detail.integrity = string(v.Text)
		case "shasum":
			ver.detail.shasum = string(v.Text)
		}
	}
}

func (p *packument) addDependency(ver *version, name string) {
	if ver == nil || len(p.depends) == 0 {
		return
	}
	if d := ver.detail; d != nil && p.known != nil {
		if len(d.depends) == maxDepends || p.nameBytes+len(name) > maxDependNames {
			p.truncated = true
			return
		}
		d.depends = append(d.depends, name)
		p.nameBytes += len(name)
		return
	}
	last := &p.depends[len(p.depends)-1]
	last.sums = append(last.sums, maphash.String(p.seed, name))
	for p.sums++; p.sums > maxDependSums && len(p.depends) > 1; {
		p.evict()
	}
}
