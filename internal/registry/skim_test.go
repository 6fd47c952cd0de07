package registry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/registry"
)

// A recorder is a visitor that wants everything and writes it down.
type recorder struct{ told []string }

func (r *recorder) Open(path *registry.Path, kind registry.Kind) bool {
	r.told = append(r.told, where(path)+fmt.Sprint(kind))
	return true
}

func (r *recorder) Value(path *registry.Path, v registry.Value) {
	text := string(v.Text)
	if v.Kind == registry.String {
		text = strconv.Quote(text)
	}
	if v.Dropped {
		text = "dropped"
	}
	r.told = append(r.told, where(path)+text)
}

func where(path *registry.Path) string {
	var b strings.Builder
	for i := range path.Len() {
		fmt.Fprintf(&b, "%q ", path.Word(i))
	}
	return b.String()
}

// expected returns what a recorder is to be told of a document, by the account
// of another reader of JSON.
func expected(data []byte) ([]string, bool) {
	if !json.Valid(data) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var told []string
	err := expectValue(d, "", 0, &told)
	return told, err == nil
}

func expectValue(d *json.Decoder, at string, depth int, told *[]string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	say := func(text string) {
		if depth <= registry.MaxVisited {
			*told = append(*told, at+text)
		}
	}
	switch v := token.(type) {
	case json.Delim:
		kind := registry.Array
		if v == '{' {
			kind = registry.Object
		}
		say(fmt.Sprint(kind))
		for i := 0; d.More(); i++ {
			name := strconv.Itoa(i)
			if v == '{' {
				token, err := d.Token()
				if err != nil {
					return err
				}
				name = token.(string)
			}
			if err := expectValue(d, at+fmt.Sprintf("%q ", name), depth+1, told); err != nil {
				return err
			}
		}
		_, err := d.Token()
		return err
	case string:
		say(strconv.Quote(v))
	case json.Number:
		say(v.String())
	case bool:
		say(strconv.FormatBool(v))
	case nil:
		say("null")
	}
	return nil
}

// skim returns what a recorder is told of data in pieces of the given length.
func skim(data []byte, piece int) ([]string, error) {
	var r recorder
	s := registry.NewSkimmer(&r)
	for len(data) > 0 {
		n := min(piece, len(data))
		_, _ = s.Write(data[:n]) // it never fails
		data = data[n:]
	}
	return r.told, s.Err()
}

// document makes JSON that is quite unlike what clients send.
func document(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		space := rapid.SampledFrom([]string{"", " ", "\n\t"})
		name := rapid.SampledFrom([]string{`"a"`, `"versions"`, `"\u0061"`, `""`, `"\\\""`, `"é\ud83d\ude00"`, `"\ud800"`})
		leaf := rapid.SampledFrom([]string{`1`, `-0.5e+3`, `true`, `false`, `null`, `"x"`, `""`, `"\\"`, `"a\"b"`, `"` + strings.Repeat(`\"`, 50) + `"`})
		kind := rapid.IntRange(0, 2).Draw(t, "kind")
		if depth == 0 || kind == 0 {
			return leaf.Draw(t, "leaf")
		}
		n := rapid.IntRange(0, 4).Draw(t, "n")
		parts := make([]string, n)
		for i := range parts {
			parts[i] = space.Draw(t, "space") + document(depth-1).Draw(t, "value") + space.Draw(t, "space")
			if kind == 1 {
				parts[i] = name.Draw(t, "name") + space.Draw(t, "space") + ":" + parts[i]
			}
		}
		if kind == 1 {
			return "{" + strings.Join(parts, ",") + "}"
		}
		return "[" + strings.Join(parts, ",") + "]"
	})
}

// A document says the same in one piece and in many, and the same as to another
// reader. Otherwise the registry would act on one thing and the log tell another.
func TestSkimmerReadsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(document(5).Draw(t, "document"))
		want, ok := expected(data)
		if !ok {
			t.Fatalf("not JSON: %s", data)
		}
		for _, piece := range []int{len(data), 1, rapid.IntRange(1, 20).Draw(t, "piece")} {
			got, err := skim(data, max(piece, 1))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Fatalf("%s in pieces of %d: %v\n%s", data, piece, err, diff)
			}
		}
	})
}

func FuzzSkimmer(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,{"b":"c\n"}],"d":null}`, `[[],{},""]`, `"\ud83d\ude00"`, "\xef\xbb\xbf{}", `{"a":1,"a":2}`, `{"a"`, `[1,]`, `-`,
		`{"a":"` + strings.Repeat("x", 5000) + `"}`, strings.Repeat("[", 100), `"\u12"`, `{"a":tru}`,
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		whole, err := skim(data, len(data)+1)
		pieces, perr := skim(data, max(1, piece%64))
		if !slices.Equal(whole, pieces) || (err == nil) != (perr == nil) {
			t.Fatalf("in one piece %q, %v\nin several %q, %v", whole, err, pieces, perr)
		}
		want, ok := expected(data)
		if !ok || !utf8.Valid(data) || len(data) > registry.MaxMemberBytes {
			return // it may take more than JSON, and leaves out what is long
		}
		if err != nil || !slices.Equal(whole, want) {
			t.Fatalf("%q\ngot  %q, %v\nwant %q", data, whole, err, want)
		}
	})
}

func TestSkimmerLimits(t *testing.T) {
	long := strings.Repeat("x", registry.MaxStringBytes+1)
	name := strings.Repeat("n", registry.MaxMemberBytes+1)
	deep := registry.MaxVisited + 5
	tests := []struct {
		name, data string
		want       []string
		err        error
	}{
		{"a string that is too long", `["` + long + `","y"]`, []string{"7", `"0" dropped`, `"1" "y"`}, nil},
		{"a string just short enough", `"` + long[1:] + `"`, []string{strconv.Quote(long[1:])}, nil},
		{"a long string of escapes", `["` + strings.Repeat(`\"`, 5000) + `",1]`, []string{"7", `"0" dropped`, `"1" 1`}, nil},
		{"a name that is too long", `{"` + name + `":{"a":1},"` + name + `":2,"b":3}`, []string{"6", `"b" 3`}, nil},
		{"a name longer than any string", `{"` + long + `":[1],"b":3}`, []string{"6", `"b" 3`}, nil},
		{"deeper than anybody looks", strings.Repeat("[", deep) + strings.Repeat("]", deep), nil, nil},
		{"as deep as can be followed", strings.Repeat("[", registry.MaxNesting) + strings.Repeat("]", registry.MaxNesting), nil, nil},
		{"deeper", strings.Repeat("[", registry.MaxNesting+1) + strings.Repeat("]", registry.MaxNesting+1), nil, errors.New("")},
		{"a byte order mark", "\xef\xbb\xbf{}", []string{"6"}, nil},
		{"a long number", strings.Repeat("9", 500), []string{"dropped"}, nil},
		{"cut", `{"a":`, nil, io.ErrUnexpectedEOF},
		{"cut in a string", `{"a":"b`, nil, io.ErrUnexpectedEOF},
		{"nothing", ``, nil, io.ErrUnexpectedEOF},
		{"two documents", `{}{}`, nil, errors.New("")},
		{"a comma too many", `[1,]`, nil, errors.New("")},
		{"a member without a name", `{:1}`, nil, errors.New("")},
		{"the wrong end", `[1}`, nil, errors.New("")},
		{"a word", `{"a":yes}`, nil, errors.New("")},
		{"a bad escape", `"\x"`, nil, errors.New("")},
		{"a form", `a=b&c=d`, nil, errors.New("")},
		{"two bytes for each", "{\x00}\x00", nil, errors.New("")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := skim([]byte(tt.data), 1000)
			if (err != nil) != (tt.err != nil) || errors.Is(tt.err, io.ErrUnexpectedEOF) && !errors.Is(err, tt.err) {
				t.Errorf("error is %v, want %v", err, tt.err)
			}
			if tt.want != nil && !slices.Equal(got, tt.want) {
				t.Errorf("told %.200q, want %.200q", got, tt.want)
			}
		})
	}
}

// What a visitor keeps of a document, the last of two values included.
func TestMembers(t *testing.T) {
	const data = `{"name":"a","tfa":{"mode":"disable","mode":"auth-only"},"list":[{"id":"1","x":2},{"id":"2","id":"3"}],
		"n":30,"name":"b","off":false,"deep":{"name":"c"},"esc":"\u00e9"}`
	m := registry.Collect("name", "tfa", "tfa.mode", "list.*.id", "n", "off", "esc", "missing")
	s := registry.NewSkimmer(m)
	for i := range data {
		_, _ = s.Write([]byte{data[i]}) // it never fails
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	n, ok := m.Int("n")
	got := []any{m.Text("name"), m.Text("tfa.mode"), m.Kind("tfa"), m.Texts("list.*.id"), m.Count("list.*.id"), n, ok, m.Kind("off"), m.Text("esc"), m.Kind("missing")}
	want := []any{"b", "auth-only", registry.Object, []string{"1", "3"}, 2, int64(30), true, registry.False, "é", registry.Kind(0)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	m = registry.Collect("tfa", "tfa.*", "tfa.mode")
	s = registry.NewSkimmer(m)
	_, _ = s.Write([]byte(`{"tfa":{"mode":"disable"},"tfa":["1"]}`)) // it never fails
	if m.Kind("tfa") != registry.Array || m.Text("tfa.mode") != "" {
		t.Errorf("what was replaced is still there: %v %q", m.Kind("tfa"), m.Text("tfa.mode"))
	}
}

// Members keep a bounded part, and say when there was more.
func TestMembersAreBounded(t *testing.T) {
	m := registry.Collect("*")
	s := registry.NewSkimmer(m)
	_, _ = s.Write([]byte("["))
	for range 10_000 {
		_, _ = s.Write([]byte(`"` + strings.Repeat("x", 3000) + `",`))
	}
	_, _ = s.Write([]byte("1]"))
	if s.Err() != nil || !m.Full() || m.Count("*") > registry.MaxMembers {
		t.Errorf("%d kept, full: %v, %v", m.Count("*"), m.Full(), s.Err())
	}
}

// published is a publication of n bytes of tarball, as npm sends it.
func published(n int) (head, chunk []byte, chunks int, tail []byte) {
	head = []byte(`{"_id":"demo-pkg","name":"demo-pkg","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"demo-pkg","version":"1.0.0"}},` +
		`"access":null,"_attachments":{"demo-pkg-1.0.0.tgz":{"content_type":"application/octet-stream","data":"`)
	chunk = bytes.Repeat([]byte("H4sIAAAAAAAC/+3V"), 2<<10) // 32 KiB, as the proxy copies
	return head, chunk, n * 4 / 3 / len(chunk), []byte(`","length":1}}}`)
}

// The memory for a document does not grow with it.
func TestSkimmerMemory(t *testing.T) {
	tests := map[string]func(w io.Writer){
		"a tarball of 256 MiB": func(w io.Writer) {
			head, chunk, n, tail := published(256 << 20)
			_, _ = w.Write(head)
			for range n {
				_, _ = w.Write(chunk)
			}
			_, _ = w.Write(tail)
		},
		"deep nesting": func(w io.Writer) {
			_, _ = io.WriteString(w, strings.Repeat(`{"`+strings.Repeat("n", 500)+`":`, 50_000))
		},
		"many members": func(w io.Writer) {
			_, _ = io.WriteString(w, "{")
			for range 100_000 {
				_, _ = io.WriteString(w, `"name":"value",`)
			}
		},
	}
	for name, write := range tests {
		t.Run(name, func(t *testing.T) {
			s := registry.NewSkimmer(registry.Collect("name", "_attachments.*.length"))
			const limit = 64 << 10
			if grown := growth(func() { write(s) }); grown > limit {
				t.Errorf("a skimmer has grown by %d bytes, want at most %d", grown, limit)
			}
			runtime.KeepAlive(s)
		})
	}
}

// growth returns how much more memory is in use after do.
func growth(do func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// BenchmarkSkimmer reads a publication of 150 MiB, and a package's document
// with many versions.
func BenchmarkSkimmer(b *testing.B) {
	b.Run("tarball", func(b *testing.B) {
		head, chunk, n, tail := published(150 << 20)
		b.SetBytes(int64(len(head) + n*len(chunk) + len(tail)))
		b.ReportAllocs()
		for b.Loop() {
			s := registry.NewSkimmer(registry.Collect("name", "_attachments.*.length"))
			_, _ = s.Write(head)
			for range n {
				_, _ = s.Write(chunk)
			}
			_, _ = s.Write(tail)
			if err := s.Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("escapes", func(b *testing.B) {
		chunk := bytes.Repeat([]byte(`\"`), 16<<10)
		b.SetBytes(int64(len(chunk)))
		s := registry.NewSkimmer(registry.Collect("name"))
		_, _ = s.Write([]byte(`{"x":"`))
		for b.Loop() {
			_, _ = s.Write(chunk)
		}
	})
	b.Run("packument", func(b *testing.B) {
		data := []byte(`{"versions":{` + strings.Repeat(`"1.0.0":{"name":"demo-pkg","dependencies":{"a":"^1.0.0","b":"2"},"dist":{"integrity":"sha512-abcdefghijklmnopqrstuvwxyz"}},`, 10_000) + `"x":{}}}`)
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			s := registry.NewSkimmer(registry.Collect("versions.*.deprecated"))
			_, _ = s.Write(data)
			if err := s.Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
