package npm

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
)

// A change is how a document that was sent differs from the one that was there.
type change struct {
	added, removed []string            // versions
	deprecated     map[uint64][]string // versions, by the hash of the text
	undeprecated   []string            // versions
	tagsSet        []string            // that are new or stand for another version
	tagsGone       []string
	ownersAdded    []string
	ownersGone     []string
}

func (c *change) empty() bool {
	return len(c.added)+len(c.removed)+len(c.deprecated)+len(c.undeprecated)+
		len(c.tagsSet)+len(c.tagsGone)+len(c.ownersAdded)+len(c.ownersGone) == 0
}

// has reports whether the document has a member of that name at the top.
func (p *packument) has(name string) bool { return slices.Contains(p.members, name) }

// only reports whether the document has no members at the top but these.
func (p *packument) only(names ...string) bool {
	for _, m := range p.members {
		if !slices.Contains(names, m) {
			return false
		}
	}
	return !p.truncated && len(p.members) > 0
}

// compare returns what p changes in was. It says nothing about what p does not
// speak of.
func compare(was, p *packument) *change {
	c := &change{deprecated: make(map[uint64][]string)}
	if p.has("versions") {
		compareVersions(c, was, p)
	}
	if p.has("dist-tags") {
		compareTags(c, was, p)
	}
	if p.has("maintainers") {
		c.ownersAdded = without(p.owners, was.owners)
		if !p.truncated {
			c.ownersGone = without(was.owners, p.owners)
		}
	}
	return c
}

func compareVersions(c *change, was, p *packument) {
	for _, name := range slices.Sorted(maps.Keys(p.versions)) {
		now, before := p.versions[name], was.versions[name]
		switch {
		case before == nil:
			c.added = append(c.added, name)
		case now.deprecated && (!before.deprecated || before.message != now.message):
			c.deprecated[now.message] = append(c.deprecated[now.message], name)
		case !now.deprecated && before.deprecated:
			c.undeprecated = append(c.undeprecated, name)
		}
	}
	if p.truncated {
		return // what seems to be missing may only not have been kept
	}
	for _, name := range slices.Sorted(maps.Keys(was.versions)) {
		if p.versions[name] == nil {
			c.removed = append(c.removed, name)
		}
	}
}

// compareTags leaves out the tags of versions that are removed: they go with
// them, or move on.
func compareTags(c *change, was, p *packument) {
	for _, tag := range slices.Sorted(maps.Keys(p.tags)) {
		if old := was.tags[tag]; old != p.tags[tag] && !slices.Contains(c.removed, old) {
			c.tagsSet = append(c.tagsSet, tag)
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(was.tags)) {
		if _, there := p.tags[tag]; !there && !p.truncated && !slices.Contains(c.removed, was.tags[tag]) {
			c.tagsGone = append(c.tagsGone, tag)
		}
	}
}

// without returns what is in a and not in b, each once, in order.
func without(a, b []string) []string {
	var rest []string
	for _, s := range a {
		if s != "" && !slices.Contains(b, s) && !slices.Contains(rest, s) {
			rest = append(rest, s)
		}
	}
	slices.Sort(rest)
	return rest
}

// published returns the versions that p, which came with files, publishes:
// those that were not there, or else those whose files came.
func (p *packument) published() []string {
	all := slices.Sorted(maps.Keys(p.versions))
	if p.known != nil && !p.known.truncated {
		var fresh []string
		for _, v := range all {
			if p.known.versions[v] == nil {
				fresh = append(fresh, v)
			}
		}
		if len(fresh) > 0 {
			return fresh
		}
	}
	var attached []string
	for _, v := range all {
		if p.file(v, ".tgz") != nil {
			attached = append(attached, v)
		}
	}
	if len(attached) > 0 {
		return attached
	}
	return all
}

// file returns the attached file of a version with the given ending.
func (p *packument) file(version, ending string) *attachment {
	for name, f := range p.files {
		if strings.HasSuffix(name, "-"+version+ending) {
			return f
		}
	}
	return nil
}

// attested reports whether a provenance statement came with a version.
func (p *packument) attested(version string) bool {
	if p.file(version, ".sigstore") != nil {
		return true
	}
	for _, f := range p.files {
		if strings.HasPrefix(f.contentType, "application/vnd.dev.sigstore") && len(p.versions) == 1 {
			return true
		}
	}
	return false
}

// latestDepends returns the dependencies of the version that is installed by
// default, and whether they are known.
func (p *packument) latestDepends() (map[uint64]bool, bool) {
	latest, ok := p.tags["latest"]
	if !ok {
		return nil, false
	}
	for _, d := range p.depends {
		if d.version == latest {
			sums := make(map[uint64]bool, len(d.sums))
			for _, s := range d.sums {
				sums[s] = true
			}
			return sums, true
		}
	}
	return nil, false
}

// newDepends returns the dependencies of a version that is published which
// those who install by default do not have yet, and whether that is known.
func (p *packument) newDepends(v *version) ([]string, bool) {
	if p.known == nil || v == nil || v.detail == nil {
		return nil, false
	}
	have, ok := p.known.latestDepends()
	if !ok {
		return nil, false
	}
	var fresh []string
	for _, name := range v.detail.depends {
		if !have[maphash.String(p.seed, name)] {
			fresh = append(fresh, name)
		}
	}
	slices.Sort(fresh)
	return slices.Compact(fresh), true
}
