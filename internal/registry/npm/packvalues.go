package npm

import (
	"hash/maphash"
	"slices"
	"strings"

	"github.com/custody-log/custody/internal/registry"
)

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
		p.depends, p.sums, p.detailed, p.nameBytes, p.textBytes = nil, 0, 0, 0, 0
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
	text := p.text(v)
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

// text returns a string of a bounded length, "" for any other value.
func (p *packument) text(v registry.Value) string {
	if v.Kind != registry.String {
		return ""
	}
	return registry.Clean(string(v.Text), maxText)
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
		p.tags[name] = p.text(v)
	case "maintainers":
		owner, _, _ := strings.Cut(p.text(v), " <")
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
			p.owners[len(p.owners)-1] = p.text(v)
		}
	case "_attachments":
		if f := p.files[path.Word(1)]; f != nil {
			f.set(path.Word(2), v, p.text(v))
		}
	}
}

func (f *attachment) set(member string, v registry.Value, text string) {
	switch member {
	case "content_type":
		f.contentType = text
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
	} else if len(p.versions) == maxVersions || p.textBytes+len(name) > maxVersionText {
		p.truncated = true
		return
	}
	p.textBytes += len(name)
	v := new(version)
	p.versions[name] = v
	if !p.sent {
		p.depends = append(p.depends, dependSet{version: name})
		if len(p.depends) > maxDependSets {
			p.evict()
		}
		return
	}
	isNew := p.known == nil || p.known.versions[name] == nil
	if (isNew || len(p.versions) <= maxDetailed) && p.detailed < 2*maxDetailed {
		v.detail = new(detail)
		p.detailed++
	}
}

// evict forgets the dependencies of the version that came first, but not those
// of the one that is installed by default, if that is known already.
func (p *packument) evict() {
	if p.depends[0].version == p.tags["latest"] && len(p.depends) > 1 {
		p.depends[0], p.depends[1] = p.depends[1], p.depends[0]
	}
	p.sums -= len(p.depends[0].sums)
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
	ver.message = maphash.String(p.seed, text) + uint64(v.Length) // a long text is not kept
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
			ver.detail.integrity = p.text(v)
		case "shasum":
			ver.detail.shasum = p.text(v)
		}
	}
}

func (p *packument) addDependency(ver *version, name string) {
	if ver == nil {
		return
	}
	if d := ver.detail; p.sent {
		if len(d.depends) == maxDepends || p.nameBytes+len(name) > maxDependNames {
			p.truncated = true
			return
		}
		d.depends = append(d.depends, name)
		p.nameBytes += len(name)
		return
	}
	if len(p.depends) == 0 {
		return
	}
	last := &p.depends[len(p.depends)-1]
	if len(last.sums) == maxDepends {
		p.truncated = true
		return
	}
	last.sums = append(last.sums, maphash.String(p.seed, name))
	for p.sums++; p.sums > maxDependSums && len(p.depends) > 1; {
		p.evict()
	}
}
