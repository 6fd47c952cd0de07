// Package archtest keeps the drawing of the layers in DESIGN.md true.
//
// It promises that
//
//   - every package has a layer, and imports only packages of layers below;
//   - a way out of the program (files, processes, the network, raw memory) is
//     taken only by the packages named here;
//   - what helps tests stays in tests.
//
// It reads the imports of every file of the module, for every platform, and
// leaves alone the modules that lie inside it (tools, interop).
package archtest_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/custody-log/custody"

// strict makes a package that has a layer but no files a failure, so that the
// table cannot go on naming what is gone.
const strict = true

// layers lists every package, from the ground up. A package may import only
// packages of layers below its own, so packages of one layer are strangers.
//
// A package inside a listed one (internal/registry/npm) has its layer and is of
// its family; members of a family may import each other.
var layers = [][]string{
	{"event", "catalogue", "internal/disk"},
	{"proof", "internal/registry", "internal/journal", "internal/query", "internal/retain", "internal/geo", "internal/gen", "internal/sample"},
	{".", "internal/view", "internal/auth", "internal/denial", "internal/reader", "internal/segment", "internal/export", "internal/config", "internal/stream"},
	{"internal/intake", "internal/tree", "internal/store", "internal/signin"}, // the desk, views, and who comes in
	{"internal/keeper", "internal/backup"}, // what is done to a whole store
	{"internal/reading"},                   // what each reader gets of it
	{"internal/dossier"},                   // what is known about one thing
	{"internal/api", "internal/console", "internal/proxy", "internal/witness"}, // doors
	{"internal/server"},
	{"internal/cli"},
	{"cmd/custody", "bench"},
}

// A door says who may use an import that is not free: the packages of only, or
// everybody but those of except. An empty door is for nobody.
type door struct {
	only   []string
	except []string
}

// doors lists the imports that are not free, each with every package inside it.
// The longest path that fits decides: os/exec has a door of its own.
var doors = map[string]door{
	// What is kept goes through disk.FS, which a test can crash.
	"os":               {only: []string{"internal/disk", "internal/cli", "cmd/custody", "bench"}},
	"os/signal":        {only: []string{"internal/cli", "cmd/custody", "bench"}},
	"syscall":          {only: []string{"internal/disk", "internal/cli", "cmd/custody", "bench"}},
	"golang.org/x/sys": {only: []string{"internal/disk", "internal/cli"}},
	// Settings arrive as values; only the command line reads them from a user.
	"flag":              {only: []string{"internal/cli", "cmd/custody", "bench"}},
	"golang.org/x/term": {only: []string{"internal/cli"}},
	"net":               {except: offline},
	"net/netip":         {except: []string{}}, // addresses as values: no network in them
	"net/url":           {except: []string{}},
	"net/http/pprof":    {only: []string{"internal/server"}},
	// Nothing a client sends may ever start a program or reach around a type.
	"os/exec": {only: []string{"bench"}}, // which starts what it measures, and is not shipped
	"plugin":  {},
	"unsafe":  {},
	"C":       {},
	"reflect": {},
	"expvar":  {}, // a global, and a page nobody asked for
	// For tests and for packages that help them.
	"testing":                         {},
	"github.com/google/go-cmp":        {},
	"github.com/rogpeppe/go-internal": {},
	"pgregory.net/rapid":              {},
}

// offline lists the packages whose answers depend on their arguments and the
// disk alone, so that what they say can be checked far from any network.
var offline = []string{
	"event", "catalogue", "internal/disk", "internal/config", "internal/journal", "internal/segment", "internal/store", "internal/retain",
}

// The first thing a reader of DESIGN.md believes is that nothing below can
// reach up: a journal that knew the API could not be judged by itself.
func TestLayers(t *testing.T) {
	packages := readModule(t)
	for _, complaint := range complaints(packages) {
		t.Error(complaint)
	}
	for _, name := range slices.Concat(layers...) {
		if _, found := packages[name]; !found && strict {
			t.Errorf("%s has a layer but no files: take it out here and in DESIGN.md", name)
		}
	}
}

// A rule that never fails guards nothing; each is broken here once.
func TestRulesBite(t *testing.T) {
	for _, c := range []struct {
		name    string
		pkg     string
		imports string
		want    string
	}{
		{"down is allowed", "internal/api", module + "/internal/intake", ""},
		{"far down is allowed", "cmd/custody", module + "/event", ""},
		{"the root has a layer", "internal/tree", module, ""},
		{"up", "internal/journal", module + "/internal/server", "internal/journal (layer 1) must not import internal/server (layer 8)"},
		{"up to the root", "proof", module, "proof (layer 1) must not import . (layer 2)"},
		{"sideways", "internal/intake", module + "/internal/tree", "internal/intake (layer 3) must not import internal/tree (layer 3)"},
		{"within a family", "internal/registry/npm", module + "/internal/registry", ""},
		{"a family has one layer", "internal/registry/npm/tarball", module + "/internal/view", "internal/registry/npm/tarball (layer 1) must not import internal/view (layer 2)"},
		{"into a family above", "event", module + "/internal/registry/npm", "event (layer 0) must not import internal/registry/npm (layer 1)"},
		{"a name that only begins alike", "internal/registrar", "fmt", "internal/registrar has no layer: give it one here and in DESIGN.md"},
		{"an import without a layer", "internal/cli", module + "/internal/util", "internal/cli must not import internal/util, which has no layer"},
		{"a file outside the disk", "internal/store", "os", "internal/store must not import os"},
		{"the disk itself", "internal/disk", "os", ""},
		{"a program started", "internal/cli", "os/exec", "internal/cli must not import os/exec"},
		{"a way around types", "event", "unsafe", "event must not import unsafe"},
		{"the network below the doors", "internal/journal", "net/http", "internal/journal must not import net/http"},
		{"the network, deeper", "event", "net/http/httptrace", "event must not import net/http/httptrace"},
		{"the network at a door", "internal/proxy", "net/http", ""},
		{"an address is a value", "event", "net/netip", ""},
		{"test code in the program", "internal/api", "testing/fstest", "internal/api must not import testing/fstest"},
		{"test code in a helper", "internal/journal/journaltest", "testing", ""},
		{"a helper in the program", "internal/server", module + "/internal/journal/journaltest", "internal/server must not import internal/journal/journaltest, which is for tests"},
		{"a name that only ends alike", "internal/query/latest", "testing", "internal/query/latest must not import testing"},
		{"a helper in a helper", "internal/view/viewtest", module + "/internal/journal/journaltest", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(complaints(map[string][]string{c.pkg: {c.imports}}), "; ")
			if got != c.want {
				t.Errorf("%s importing %s: complaints %q, want %q", c.pkg, c.imports, got, c.want)
			}
		})
	}
}

// complaints returns a sentence for each rule that the packages' imports break.
func complaints(packages map[string][]string) []string {
	var all []string
	for name, imports := range packages {
		mine, family := place(name)
		if family == "" {
			all = append(all, name+" has no layer: give it one here and in DESIGN.md")
			continue
		}
		for _, imp := range imports {
			inside, ours := within(imp, module)
			if !ours {
				if !mayUse(name, imp) {
					all = append(all, fmt.Sprintf("%s must not import %s", name, imp))
				}
				continue
			}
			theirs, theirFamily := place(inside)
			switch {
			case theirFamily == "":
				all = append(all, fmt.Sprintf("%s must not import %s, which has no layer", name, inside))
			case isHelper(inside) && !isHelper(name):
				all = append(all, fmt.Sprintf("%s must not import %s, which is for tests", name, inside))
			case theirFamily != family && theirs >= mine:
				all = append(all, fmt.Sprintf("%s (layer %d) must not import %s (layer %d)", name, mine, inside, theirs))
			}
		}
	}
	slices.Sort(all)
	return all
}

// place returns the layer of a package and the listed package it belongs to,
// or "" when it belongs to none. Nothing belongs to the root but the root.
func place(name string) (layer int, family string) {
	for ; ; name = path.Dir(name) {
		for i, names := range layers {
			if slices.Contains(names, name) {
				return i, name
			}
		}
		if dir := path.Dir(name); dir == "." {
			return 0, ""
		}
	}
}

// mayUse says whether a package may import something from outside the module.
func mayUse(name, imp string) bool {
	for at := imp; ; at = path.Dir(at) {
		if d, found := doors[at]; found {
			isIn := func(listed string) bool { _, in := within(name, listed); return in }
			if d.except != nil {
				return !slices.ContainsFunc(d.except, isIn)
			}
			return slices.ContainsFunc(d.only, isIn) || isHelper(name)
		}
		if !strings.Contains(at, "/") {
			return true
		}
	}
}

// isHelper says whether a package is there for tests only, as net/http/httptest
// is: it lies in the package it helps to test and is named after it.
func isHelper(name string) bool {
	return path.Base(name) == path.Base(path.Dir(name))+"test"
}

// within says whether a path is root or below it, and returns what is below,
// "." for root itself.
func within(name, root string) (string, bool) {
	if name == root {
		return ".", true
	}
	return strings.CutPrefix(name, root+"/")
}
