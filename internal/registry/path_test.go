package registry_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/registry"
)

// A path that two programs could read in two ways is refused: otherwise the log
// tells of another package than the one that was changed.
func TestSegments(t *testing.T) {
	tests := []struct {
		name string
		path string
		want []string // nil: refused
	}{
		{"plain", "/demo-pkg", []string{"demo-pkg"}},
		{"the root", "/", []string{}},
		{"scope as one word", "/@scope%2fname", []string{"@scope/name"}},
		{"scope in capitals", "/@scope%2Fname", []string{"@scope/name"}},
		{"scope as two words", "/@scope/name", []string{"@scope", "name"}},
		{"encoded at sign", "/%40scope%2fname", []string{"@scope/name"}},
		{"slash at the end", "/demo-pkg/", []string{"demo-pkg"}},
		{"not ASCII", "/caf%C3%A9", []string{"café"}},
		{"a token with slashes", "/-/user/token/ab%2F%2Fcd%3D%3D", []string{"-", "user", "token", "ab//cd=="}},
		{"dots in a name", "/a..b/...", []string{"a..b", "..."}},

		{"parent", "/a/../b", nil},
		{"here", "/a/./b", nil},
		{"encoded parent", "/a/%2e%2e/b", nil},
		{"half encoded parent", "/a/.%2e/b", nil},
		{"parent behind an encoded slash", "/a%2f..%2fb", nil},
		{"two slashes", "/a//b", nil},
		{"two slashes at the start", "//a", nil},
		{"two slashes at the end", "/a//", nil},
		{"backslash", `/a\b`, nil},
		{"encoded backslash", "/a%5cb", nil},
		{"encoded NUL", "/a%00", nil},
		{"encoded line feed", "/a%0ab", nil},
		{"encoded DEL", "/a%7f", nil},
		{"encoded letter", "/%61dmin", nil},
		{"encoded hyphen", "/%2d/whoami", nil},
		{"encoded twice", "/a%252e%252e", nil},
		{"broken encoding", "/a%2", nil},
		{"no hex", "/a%zz", nil},
		{"not UTF-8", "/a%ff", nil},
		{"raw byte", "/caf\xc3\xa9", nil},
		{"space", "/a b", nil},
		{"query", "/a?b", nil},
		{"fragment", "/a#b", nil},
		{"no slash", "a", nil},
		{"empty", "", nil},
		{"too long", "/" + strings.Repeat("a", registry.MaxPathBytes), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := registry.Segments(tt.path)
			if _, unsafe := errors.AsType[*registry.PathError](err); unsafe != (tt.want == nil) || err != nil && !unsafe {
				t.Fatalf("Segments(%q) = %q, %v", tt.path, got, err)
			}
			if err == nil && !slices.Equal(got, tt.want) {
				t.Errorf("Segments(%q) = %q, want %q", tt.path, got, tt.want)
			}
		})
	}
}

func FuzzSegments(f *testing.F) {
	f.Add("/@scope%2fname/-rev/1-abc")
	f.Fuzz(func(t *testing.T, path string) {
		words, err := registry.Segments(path)
		for _, w := range words {
			if err != nil || w == "" || strings.ContainsAny(w, "\\\x00\n") || w == ".." {
				t.Errorf("Segments(%q) = %q, %v", path, words, err)
			}
		}
	})
}

func TestPackageURL(t *testing.T) {
	tests := []struct {
		name string
		pkg  registry.Package
		want string
	}{
		{"a name", registry.Package{Type: "npm", Name: "demo-pkg"}, "pkg:npm/demo-pkg"},
		{"a version", registry.Package{Type: "npm", Name: "demo-pkg", Version: "1.0.0-rc.1"}, "pkg:npm/demo-pkg@1.0.0-rc.1"},
		{"a scope", registry.Package{Type: "npm", Namespace: "@scope", Name: "n", Version: "1.0.0+b"}, "pkg:npm/%40scope/n@1.0.0%2Bb"},
		{"several words", registry.Package{Type: "golang", Namespace: "a.example/b", Name: "c"}, "pkg:golang/a.example/b/c"},
		{"not ASCII", registry.Package{Type: "npm", Name: "café"}, "pkg:npm/caf%C3%A9"},
		{"what would end a name", registry.Package{Type: "npm", Name: "a@1/b?c#d"}, "pkg:npm/a%401%2Fb%3Fc%23d"},
		{"capitals are another package", registry.Package{Type: "npm", Name: "Demo"}, "pkg:npm/Demo"},
		{
			"of another registry",
			registry.Package{Type: "npm", Name: "n", Repository: "https://npm.example/x"},
			"pkg:npm/n?repository_url=https:%2F%2Fnpm.example%2Fx",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.pkg.URL(); got != tt.want {
				t.Errorf("URL() = %q, want %q", got, tt.want)
			}
		})
	}
}
