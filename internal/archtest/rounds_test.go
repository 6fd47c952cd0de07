package archtest_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readers are the packages that show events to people and programs. They have them
// from internal/reading, which knows what each reader may see.
var readers = []string{"internal/api", "internal/console", "internal/dossier"}

// parts are what holds events, by the name of the field or variable that it has
// wherever it is used, and what readers may do with it. Anything else, also to
// call it by another name, is a way round.
var parts = map[string][]string{
	"Store":   {"Cursor", "Derive", "Seal", "Tidy", "Trouble"},
	"Journal": {"Size", "Wait"},
	"Keeper": {
		"DenyErasure", "Erasure", "Erasures", "Estimate", "Hold", "Holds", "LiftHold", "PlaceHold", "Policies", "Purge",
		"RequestErasure", "ResetPolicy", "SetPolicy",
	},
}

// exceptions are the files that may do something else.
var exceptions = map[string][]string{
	"internal/api/keepaccess.go": {"Keeper.Access"},         // about one person, asked for by an administrator, and on record
	"internal/console/event.go":  {"Keeper", "Keeper.Held"}, // it is given nothing but what is shown
}

// makers make something out of a record that holds all of it.
var makers = []string{"event.DecodeRecord", "event.Record", "proof.Disclose", "proof.NewReceipt", "export.Row", "export.AppendJSON"}

// If this fails, an answer may show somebody what internal/reading would not.
func TestNobodyReadsRound(t *testing.T) {
	for _, dir := range readers {
		files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, way := range waysRound(t, dir+"/"+filepath.Base(file), string(source)) {
				t.Error(way)
			}
		}
	}
}

// A rule that never fails guards nothing; each is broken here once.
func TestRoundsBite(t *testing.T) {
	for _, c := range []struct{ name, file, code, want string }{
		{"the room", "internal/api/x.go", "a.Room.Search(ctx, r, q)", ""},
		{"what is no event", "internal/api/x.go", "_ = a.Store.Cursor() + a.Journal.Size()", ""},
		{"wiring", "internal/api/x.go", "_ = T{Store: nil}", ""},
		{"a search", "internal/api/x.go", "a.Store.Search(ctx, q)", "internal/api/x.go:3: Store.Search"},
		{"the room's own store", "internal/console/x.go", "c.Room.Store.Walk(ctx, q, f)", "internal/console/x.go:3: Store.Walk"},
		{"a field without a struct", "internal/dossier/x.go", "store := Store; store.Values(ctx)", "internal/dossier/x.go:3: Store"},
		{"another name", "internal/api/x.go", "s := a.Store; s.Count(ctx, q)", "internal/api/x.go:3: Store"},
		{"a method as a value", "internal/api/x.go", "f := a.Store.Count; f(ctx, q)", "internal/api/x.go:3: Store.Count"},
		{"the records", "internal/api/x.go", "a.Journal.Read(0, 1)", "internal/api/x.go:3: Journal.Read"},
		{"names behind pseudonyms", "internal/api/x.go", "a.Keeper.Shown(seq, record)", "internal/api/x.go:3: Keeper.Shown"},
		{"an access report", "internal/api/keepaccess.go", "a.Keeper.Access(ctx, by, p, f)", ""},
		{"another one", "internal/api/x.go", "a.Keeper.Access(ctx, by, p, f)", "internal/api/x.go:3: Keeper.Access"},
		{"a field", "internal/api/x.go", "type T struct { Store *store.Store; Keeper *keeper.Keeper }", ""},
		{"a field of another name", "internal/api/x.go", "type T struct { index *store.Store }", "internal/api/x.go:3: Store"},
		{"a variable", "internal/api/x.go", "var index *store.Store", "internal/api/x.go:3: Store"},
		{"a receipt", "internal/api/x.go", "proof.Disclose(record, all)", "internal/api/x.go:3: proof.Disclose"},
		{"a row", "internal/api/x.go", "_ = export.Row{Record: record}", "internal/api/x.go:3: export.Row"},
		{"a record", "internal/console/x.go", "event.DecodeRecord(body)", "internal/console/x.go:3: event.DecodeRecord"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(waysRound(t, c.file, "package x\nfunc f() {\n"+c.code+"\n}"), "; ")
			if got != c.want {
				t.Errorf("%s: %q, want %q", c.code, got, c.want)
			}
		})
	}
}

// waysRound returns what a file does with what holds events that readers may not,
// as "file:line: what".
func waysRound(t *testing.T, name, source string) (list []string) {
	t.Helper()
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	fine := make(map[ast.Node]bool) // looked at already, or no use of a part
	report := func(at ast.Node, what string) {
		if !slices.Contains(exceptions[name], what) && !mayMake(name, what) {
			list = append(list, fmt.Sprintf("%s:%d: %s", name, files.Position(at.Pos()).Line, what))
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			fine[n.Key] = true
		case *ast.Field: // one that holds a part is called as the part
			for _, field := range n.Names {
				fine[field] = true
			}
			if star, ok := n.Type.(*ast.StarExpr); ok && len(n.Names) == 1 {
				if of, held := partOf(star.X); held != nil && of == n.Names[0].Name {
					fine[held] = true
				}
			}
		case *ast.SelectorExpr:
			if where, ok := n.X.(*ast.Ident); ok && slices.Contains(makers, where.Name+"."+n.Sel.Name) {
				report(n, where.Name+"."+n.Sel.Name)
			}
			of, held := partOf(n.X)
			if held == nil {
				return true
			}
			fine[held] = true
			if !slices.Contains(parts[of], n.Sel.Name) {
				report(n, of+"."+n.Sel.Name)
			}
		case *ast.Ident:
			if parts[n.Name] != nil && !fine[n] {
				report(n, n.Name)
			}
		}
		return true
	})
	return list
}

// mayMake lets exports write rows on that the room made.
func mayMake(name, what string) bool {
	return what == "export.Row" && slices.Contains([]string{"internal/api/export.go", "internal/api/exportform.go"}, name)
}

// partOf returns which of parts an expression is, and the identifier that says so.
func partOf(x ast.Expr) (name string, held *ast.Ident) {
	switch x := x.(type) {
	case *ast.Ident:
		held = x
	case *ast.SelectorExpr:
		held = x.Sel
	}
	if held == nil || parts[held.Name] == nil {
		return "", nil
	}
	return held.Name, held
}
