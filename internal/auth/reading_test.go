package auth_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
)

// A reading that reads back as another would show one person the history of
// another.
func TestParseReading(t *testing.T) {
	for text, want := range map[string]auth.Reading{
		"everything":                      {As: auth.AsEverything},
		"auditor":                         {As: auth.AsAuditor},
		"admin":                           {As: auth.AsAdmin},
		"public":                          {As: auth.AsPublic},
		"user:u-1041":                     {As: auth.AsUser, ID: "u-1041"},
		"user:a:b":                        {As: auth.AsUser, ID: "a:b"},
		"org:o1":                          {As: auth.AsOrg, ID: "o1"},
		"project:project:p1":              {As: auth.AsProject, Type: "project", ID: "p1"},
		"project:project:pkg:npm/@a/demo": {As: auth.AsProject, Type: "project", ID: "pkg:npm/@a/demo"},
	} {
		got, err := auth.ParseReading(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseReading(%q) = %+v, %v, written %q", text, got, err, got)
		}
	}
	for _, text := range []string{
		"", "everyone", "Everything", "everything:", "auditor:x", "public:", "user", "user:", "org:", "org", "project", "project:", "project:p1", "project:project:",
		"project:pkg:npm/demo-pkg", "project::p1", "project:Project:p1", "project:9:p1", " auditor", "auditor ", "user:a\nb", "user:\xff", "user:" + strings.Repeat("x", 256),
		"project:" + strings.Repeat("x", 65) + ":p1",
	} {
		if got, err := auth.ParseReading(text); err == nil {
			t.Errorf("ParseReading(%.50q) = %+v, want an error", text, got)
		} else if _, ok := errors.AsType[*auth.NameError](err); !ok {
			t.Errorf("ParseReading(%.50q) = %v, want a NameError", text, err)
		}
	}
}

func readings(t *testing.T, texts ...string) []auth.Reading {
	t.Helper()
	var reads []auth.Reading
	for _, text := range texts {
		r, err := auth.ParseReading(text)
		if err != nil {
			t.Fatal(err)
		}
		reads = append(reads, r)
	}
	return reads
}

// TestKeysReadAsTheyWereMade follows keys over a restart: a key that came back as
// another reader would show what it must not.
func TestKeysReadAsTheyWereMade(t *testing.T) {
	for _, c := range []struct {
		scope string
		reads []string
		want  string
	}{
		{auth.Submit, nil, "[]"},
		{auth.Read, nil, "[everything]"},
		{auth.Admin, nil, "[everything]"},
		{auth.Read, []string{"everything"}, "[everything]"},
		{auth.Read, []string{"public"}, "[public]"},
		{auth.Read, []string{"auditor", "admin"}, "[auditor admin]"},
		{auth.Admin, []string{"admin"}, "[admin]"},
		{auth.Read, []string{"user:u1", "project:project:p1", "project:project:p2", "org:o1"}, "[user:u1 project:project:p1 project:project:p2 org:o1]"},
	} {
		fs := new(disk.Mem)
		k := open(t, fs)
		made, text, err := k.Create("a", "b", []string{c.scope}, readings(t, c.reads...)...)
		if err != nil {
			t.Errorf("%v: %v", c.reads, err)
			continue
		}
		k = open(t, fs.Crash(func(int) int { return 0 }))
		key, err := k.Check(text)
		if err != nil || fmt.Sprint(made.Reads) != c.want || fmt.Sprint(key.Reads) != c.want {
			t.Errorf("a key for %s as %v reads as %v, and after a restart as %v, %v; want %s", c.scope, c.reads, made.Reads, key.Reads, err, c.want)
		}
	}
}

// TestReadingsThatDoNotGoTogether checks what no key is made of.
func TestReadingsThatDoNotGoTogether(t *testing.T) {
	many := make([]string, auth.MaxReadings+1)
	for i := range many {
		many[i] = fmt.Sprintf("org:%d", i)
	}
	long := make([]string, 50)
	for i := range long {
		long[i] = fmt.Sprintf("org:%0250d", i)
	}
	for _, c := range []struct {
		name   string
		scopes []string
		reads  []auth.Reading
		want   string
	}{
		{"no scope to read", []string{auth.Submit}, readings(t, "auditor"), "reads as nobody"},
		{"everything and more", []string{auth.Read}, readings(t, "everything", "auditor"), "nobody else"},
		{"the public and more", []string{auth.Read}, readings(t, "org:o1", "public"), "nobody else"},
		{"two people", []string{auth.Read}, readings(t, "user:u1", "user:u2"), "one user"},
		{"twice", []string{auth.Read}, readings(t, "org:o1", "org:o1"), "twice"},
		{"too many", []string{auth.Read}, readings(t, many...), "at most 100"},
		{"too long", []string{auth.Read}, readings(t, long...), "12288 bytes"},
		{"nothing", []string{auth.Read}, make([]auth.Reading, 1), "no reader"},
		{"a type where there is none", []string{auth.Read}, []auth.Reading{{As: auth.AsUser, Type: "x", ID: "u1"}}, "no reader"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := open(t, new(disk.Mem))
			_, _, err := k.Create("a", "b", c.scopes, c.reads...)
			if _, ok := errors.AsType[*auth.NameError](err); !ok || !strings.Contains(err.Error(), c.want) || !k.Empty() {
				t.Errorf("Create = %v, want a NameError with %q and no key", err, c.want)
			}
		})
	}
}

// write puts text where the keys are kept.
func write(t *testing.T, text string) disk.FS {
	t.Helper()
	fs := new(disk.Mem)
	if err := disk.ReplaceFile(fs, "keys.json", []byte(text)); err != nil {
		t.Fatal(err)
	}
	return fs
}

// TestFileFromBeforeReadings checks that keys made by an earlier program let in
// as before.
func TestFileFromBeforeReadings(t *testing.T) {
	k := open(t, new(disk.Mem))
	_, text := create(t, k, auth.Read)
	id, secret, _ := strings.Cut(strings.TrimPrefix(text, "cst_"), "_")
	old := write(t, `[{"id":"`+id+`","name":"deploy","source":"npm-proxy","scopes":["read"],"created":"2026-03-31T00:20:00Z","hash":"`+sum(secret)+`"},
		{"id":"0123456789ab","name":"n","source":"s","scopes":["submit"],"created":"2026-03-31T00:20:00Z","hash":"`+sum("x")+`"}]`)
	k = open(t, old)
	key, err := k.Check(text)
	if err != nil || !slices.Equal(key.Reads, readings(t, "everything")) {
		t.Errorf("Check = %+v, %v, want a key that reads everything", key, err)
	}
	if key, err := k.Check("cst_0123456789ab_x"); err != nil || len(key.Reads) != 0 {
		t.Errorf("Check of a key that may not read = %+v, %v", key, err)
	}
}

// TestFileThatMakesNoSense checks that a file which says less than a key's reader
// is not taken for one that says everything.
func TestFileThatMakesNoSense(t *testing.T) {
	for name, members := range map[string]string{
		"nobody":           `"scopes":["read"],"reads":[]`,
		"an unknown one":   `"scopes":["read"],"reads":["audit"]`,
		"no scope for it":  `"scopes":["submit"],"reads":["auditor"]`,
		"revoked and live": `"scopes":["read"],"revoked":"2026-03-31T00:20:00Z"`,
	} {
		fs := write(t, `[{"id":"0123456789ab","name":"n","source":"s",`+members+`,"hash":"`+sum("x")+`"}]`)
		if _, err := auth.Open(fs); err == nil || !strings.Contains(err.Error(), "keys.json") {
			t.Errorf("%s: Open = %v, want an error that names the file", name, err)
		}
	}
}

// TestWhyRefused checks what the log learns about who is not let in, over a
// restart; who asks learns ErrUnknown of each.
func TestWhyRefused(t *testing.T) {
	fs := new(disk.Mem)
	k := open(t, fs)
	create(t, k, auth.Admin)
	live, liveText := create(t, k, auth.Read)
	gone, goneText := create(t, k, auth.Read)
	_, foreign := create(t, open(t, new(disk.Mem)), auth.Read)
	if _, err := k.Revoke(gone.ID); err != nil {
		t.Fatal(err)
	}
	secret := liveText[strings.LastIndex(liveText, "_"):]
	k = open(t, fs.Crash(func(int) int { return 0 }))
	for _, c := range []struct {
		name, text string
		why        auth.Why
		id         string
	}{
		{"nothing", "", auth.WhyUnknown, ""},
		{"a word", "hunter2", auth.WhyUnknown, ""},
		{"no secret", "cst_" + live.ID + "_", auth.WhyUnknown, ""},
		{"another log's", foreign, auth.WhyForeign, ""},
		{"a wrong secret", "cst_" + live.ID + "_" + strings.Repeat("A", 43), auth.WhyForged, live.ID},
		{"the secret of another", "cst_" + gone.ID + secret, auth.WhyForged, gone.ID},
		{"revoked", goneText, auth.WhyRevoked, gone.ID},
	} {
		_, err := k.Check(c.text)
		refused, ok := errors.AsType[*auth.RefusedError](err)
		if !ok || refused.Why != c.why || refused.ID != c.id || !errors.Is(err, auth.ErrUnknown) || err.Error() != auth.ErrUnknown.Error() {
			t.Errorf("%s: Check = %+v, want %s of %q", c.name, err, c.why, c.id)
		}
	}
	if n := len(k.List()); n != 2 {
		t.Errorf("%d keys are listed, want 2", n)
	}
	if _, err := k.Revoke(gone.ID); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("Revoke of a revoked key = %v, want ErrUnknown", err)
	}
}

// TestRevokedKeysAreBounded checks that the file does not grow for ever, and that
// the key which is forgotten is the one that was revoked first and stays out.
func TestRevokedKeysAreBounded(t *testing.T) {
	var list []string
	for i := range 1000 {
		list = append(list, fmt.Sprintf(`{"id":"gone%d","scopes":[],"revoked":"2026-03-31T00:%02d:%02dZ","revoked_hash":"%s"}`, i, i/60, i%60, sum("x")))
	}
	fs := write(t, "["+strings.Join(list, ",")+"]")
	k := open(t, fs)
	create(t, k, auth.Admin)
	key, text := create(t, k, auth.Read)
	if _, err := k.Revoke(key.ID); err != nil {
		t.Fatal(err)
	}
	k = open(t, fs)
	for text, want := range map[string]auth.Why{"cst_gone0_x": auth.WhyForeign, "cst_gone1_x": auth.WhyRevoked, "cst_gone999_x": auth.WhyRevoked, text: auth.WhyRevoked} {
		if refused, ok := errors.AsType[*auth.RefusedError](second(k.Check(text))); !ok || refused.Why != want {
			t.Errorf("Check of %s = %+v, want %s", text, refused, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestHashesAreComparedInConstantTime reads the code: a comparison that stops at
// the first byte that differs tells a stranger with a stopwatch how many of theirs
// are right, and no measurement here would notice.
func TestHashesAreComparedInConstantTime(t *testing.T) {
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	constant := 0 // calls of what compares in constant time
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if n.Sel.Name == "ConstantTimeCompare" {
					constant++
				}
			case *ast.BinaryExpr:
				if equal := n.Op == token.EQL || n.Op == token.NEQ; equal && !isConstantTime(n.X) && (isHash(n.X) || isHash(n.Y)) && !isEmpty(n.Y) {
					t.Errorf("%s compares a hash with %s", name, n.Op)
				}
			}
			return true
		})
	}
	if constant != 1 {
		t.Errorf("hashes are compared in constant time in %d places, want 1", constant)
	}
}

// isHash reports whether an expression is a hash by its name.
func isHash(e ast.Expr) (is bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			name := strings.ToLower(id.Name)
			is = is || strings.Contains(name, "hash") || name == "got" || name == "want" || name == "secret"
		}
		return !is
	})
	return is
}

// isConstantTime reports whether an expression is the answer of a comparison in
// constant time.
func isConstantTime(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "ConstantTimeCompare"
}

func isEmpty(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Value == `""`
}
