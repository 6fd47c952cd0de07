package segment

import (
	"bytes"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/disk"
)

// tester is a test, or one of the many of a property.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// reopened returns the footer of the file that write made.
func reopened(t tester, write func(w *writer)) *footer {
	t.Helper()
	w := new(writer)
	write(w)
	fs := new(disk.Mem)
	if err := disk.ReplaceFile(fs, "file", w.finish()); err != nil {
		t.Fatalf("%v", err)
	}
	f, err := openFooter(fs, "file", NewCache(0))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return f
}

// ascending draws rows below limit, each once.
func ascending(t *rapid.T, limit int) []uint32 {
	rows := rapid.SliceOfNDistinct(rapid.Uint32Range(0, uint32(limit-1)), 0, min(limit, 200), rapid.ID[uint32]).Draw(t, "rows")
	if rapid.Bool().Draw(t, "run") { // a long run, of which gaps are 0
		first := rapid.IntRange(0, limit-1).Draw(t, "first")
		for row := first; row < min(limit, first+300); row++ {
			rows = append(rows, uint32(row))
		}
	}
	slices.Sort(rows)
	return slices.Compact(rows)
}

// TestListsRoundTrip checks that a list of rows is read as it was written,
// wherever it begins: a row that is lost is an event that nobody finds.
func TestListsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{1, 2, 3, 64, 1000, 1 << 18, maxRows}).Draw(t, "limit")
		var lists [][]uint32
		var w bitWriter
		for range rapid.IntRange(1, 5).Draw(t, "lists") {
			rows := ascending(t, limit)
			lists = append(lists, rows)
			w.list(rows, limit)
		}
		f := reopened(t, func(file *writer) { file.section(w.bytes()) })
		r := bitReader{from: f.section()}
		for i, want := range lists {
			if got := r.list(nil, limit); !slices.Equal(got, want) {
				t.Fatalf("list %d is %v, want %v", i, got, want)
			}
		}
	})
}

// TestBitsRoundTrip checks numbers of all widths and long runs of ones.
func TestBitsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w bitWriter
		type number struct {
			value uint64
			bits  uint
			ones  bool
		}
		var list []number
		for range rapid.IntRange(1, 40).Draw(t, "numbers") {
			n := number{rapid.Uint64().Draw(t, "value"), uint(rapid.IntRange(0, 64).Draw(t, "bits")), rapid.Bool().Draw(t, "unary")}
			if n.ones {
				n.value %= 300
				w.unary(n.value)
			} else {
				if n.bits < 64 {
					n.value &= 1<<n.bits - 1
				}
				w.put(n.value, n.bits)
			}
			list = append(list, n)
		}
		f := reopened(t, func(file *writer) { file.section(w.bytes()) })
		r := bitReader{from: f.section()}
		for i, n := range list {
			got := uint64(0)
			if n.ones {
				got = r.unary()
			} else {
				got = r.get(n.bits)
			}
			if got != n.value {
				t.Fatalf("number %d of %+v is %d", i, list, got)
			}
		}
	})
}

// TestPackedWidths checks packed numbers of each width, over page boundaries.
func TestPackedWidths(t *testing.T) {
	for w := range uint(33) {
		limit := uint64(1)<<w - 1
		values := make([]uint32, 5000)
		for i := range values {
			values[i] = uint32(uint64(i) * 0x9e3779b97f4a7c15 >> 20 & limit)
		}
		values[17], values[4999] = uint32(limit), uint32(limit)
		f := reopened(t, func(file *writer) {
			file.section(make([]byte, pageBytes-3)) // so that words lie across pages
			writePacked(file, values, limit)
		})
		f.section()
		c := f.packed(len(values))
		for i, want := range values {
			if got := c.get(i); got != want {
				t.Fatalf("width %d: number %d is %d, want %d", w, i, got, want)
			}
		}
	}
}

// TestFrameColumn checks times and positions, however large, negative or far
// from each other.
func TestFrameColumn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-5000, 5000), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 0, -1}))
		values := rapid.SliceOfN(number, 0, 200).Draw(t, "values")
		if rapid.Bool().Draw(t, "thousands") {
			for i := range values {
				values[i] = values[i] / 1000 * 1000
			}
		}
		f := reopened(t, func(file *writer) { writeFrame(file, values) })
		c := f.frame(len(values))
		for i, want := range values {
			if got := c.get(i); got != want {
				t.Fatalf("number %d is %d, want %d", i, got, want)
			}
		}
	})
}

// TestMarks checks which rows have something, and how many before them do.
func TestMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		has := make([]bool, rapid.IntRange(1, 1500).Draw(t, "rows"))
		for _, row := range ascending(t, len(has)) {
			has[row] = true
		}
		if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
			for i := range has {
				has[i] = true
			}
		}
		f := reopened(t, func(file *writer) { writeMarks(file, has) })
		m := f.marks(len(has))
		n := 0
		for row, want := range has {
			before, got := m.rank(row)
			if got != want || got && before != n {
				t.Fatalf("row %d: %t after %d, want %t after %d", row, got, before, want, n)
			}
			if want {
				n++
			}
		}
	})
}

// text draws any bytes, with many that mean something to a code of ours.
func text(t *rapid.T, name string) string {
	b := rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]byte{0, 1, 2, 3, 4, 5, 6, 0xfe, 0xff, '0', '9', 'a', 'f', 'g', 'A', '-'}), rapid.Byte(),
	), 0, 40).Draw(t, name)
	return string(b)
}

// TestDictionary compares look-ups with those in a sorted list.
func TestDictionary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var values []string
		for range rapid.IntRange(0, 60).Draw(t, "values") {
			values = append(values, text(t, "value"))
		}
		if len(values) > 0 && rapid.Bool().Draw(t, "many") { // more than one fence
			for i := range 700 {
				values = append(values, values[i%len(values)]+strings.Repeat("\xff", i%7)+string(rune('a'+i%26)))
			}
		}
		slices.Sort(values)
		values = slices.Compact(values)
		written := make([][]byte, len(values))
		for i, v := range values {
			written[i] = []byte(v)
		}
		f := reopened(t, func(file *writer) { writeDict(file, written) })
		d := f.dict()
		r := d.reader()
		for range 40 {
			if len(values) > 0 {
				i := rapid.IntRange(0, len(values)-1).Draw(t, "number")
				if got := string(r.at(i)); got != values[i] {
					t.Fatalf("value %d is %q, want %q", i, got, values[i])
				}
			}
			wanted := text(t, "wanted")
			if len(values) > 0 && rapid.Bool().Draw(t, "there") {
				wanted = values[rapid.IntRange(0, len(values)-1).Draw(t, "of")]
				wanted = wanted[:rapid.IntRange(0, len(wanted)).Draw(t, "cut")]
			}
			checkSearch(t, r, values, wanted)
		}
	})
}

func checkSearch(t *rapid.T, r *dictReader, values []string, wanted string) {
	at := sort.SearchStrings(values, wanted)
	there := at < len(values) && values[at] == wanted
	if i, found := r.search([]byte(wanted)); i != at || found != there {
		t.Fatalf("search for %q found %d, %t, want %d, %t", wanted, i, found, at, there)
	}
	end := at
	for end < len(values) && strings.HasPrefix(values[end], wanted) {
		end++
	}
	if first, last := r.prefixed([]byte(wanted)); first != at || last != end {
		t.Fatalf("values that begin with %q are %d to %d, want %d to %d", wanted, first, last, at, end)
	}
}

// TestEntities checks that an entity gives back its name and id, and that
// entities are in order of names: look-ups count on it.
func TestEntities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pair struct{ name, id, entity string }
		var list []pair
		for range 8 {
			p := pair{name: text(t, "name"), id: text(t, "id")}
			if rapid.Bool().Draw(t, "id ends in name") {
				p.id += p.name
			}
			p.entity = string(appendEntity(nil, []byte(p.name), []byte(p.id)))
			name, id := splitEntity(nil, nil, []byte(p.entity))
			if string(name) != p.name || string(id) != p.id {
				t.Fatalf("%q %q became %q %q", p.name, p.id, name, id)
			}
			prefix := p.name[:rapid.IntRange(0, len(p.name)).Draw(t, "prefix")]
			if !strings.HasPrefix(p.entity, string(namePrefix([]byte(prefix)))) ||
				!strings.HasPrefix(p.entity, string(append(namePrefix([]byte(p.name)), 0))) {
				t.Fatalf("the entity of %q does not begin as its name does", p.name)
			}
			list = append(list, p)
		}
		for _, a := range list {
			for _, b := range list {
				if a.name < b.name && a.entity >= b.entity {
					t.Fatalf("%q comes before %q, their entities do not", a.name, b.name)
				}
				if a.entity == b.entity && (a.name != b.name || a.id != b.id) {
					t.Fatalf("%+v and %+v have one entity", a, b)
				}
			}
		}
	})
}

// TestPackedText checks that every text comes back, whatever the project is
// called.
func TestPackedText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		project := text(t, "project")
		s := text(t, "text")
		if rapid.Bool().Draw(t, "with project") {
			s += project + text(t, "rest") + project
		}
		if rapid.Bool().Draw(t, "with digits") {
			s += strings.Repeat("0f1", rapid.IntRange(1, 400).Draw(t, "times")) + project
		}
		packed := packText(nil, []byte(s), []byte(project))
		if got := unpackText(nil, packed, []byte(project)); string(got) != s {
			t.Fatalf("%q with project %q became %q", s, project, got)
		}
	})
}

// TestUUIDs checks that only what is written again letter for letter is taken
// for one.
func TestUUIDs(t *testing.T) {
	good := "0192b7e1-5f00-7abc-8def-0123456789ab"
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{good, true},
		{"00000000-0000-0000-0000-000000000000", true},
		{"ffffffff-ffff-ffff-ffff-ffffffffffff", true},
		{strings.ToUpper(good), false},
		{good[:35], false},
		{good + "0", false},
		{"", false},
		{strings.ReplaceAll(good, "-", "_"), false},
		{"0192b7e15-f00-7abc-8def-0123456789ab", false},
		{"g192b7e1-5f00-7abc-8def-0123456789ab", false},
		{"0192b7e1-5f00-7abc-8def-0123456789a\xff", false},
	} {
		var u [16]byte
		ok := parseUUID(u[:], []byte(c.text))
		if ok != c.ok {
			t.Errorf("%q: %t, want %t", c.text, ok, c.ok)
		}
		if got := string(appendUUID(nil, u[:])); ok && got != c.text {
			t.Errorf("%q became %q", c.text, got)
		}
		if !ok && u != [16]byte{} {
			t.Errorf("%q left %x behind", c.text, u)
		}
	}
}

// TestHashes compares what is found by a hash with a map, for hashes that share
// their first bits, too.
func TestHashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 5000
		want := map[uint32][]uint32{}
		var lists wordLists
		n := rapid.SampledFrom([]int{0, 1, 10, 300, 9000}).Draw(t, "pairs")
		seed := rapid.Uint64().Draw(t, "seed")
		for i := range n {
			x := (seed + uint64(i)) * 0x9e3779b97f4a7c15
			hash, item := uint32(x>>32), uint32(x)%limit
			if i%3 == 0 {
				hash = hash&0xf | 0xabcdef00
			}
			lists.add(hash, limit-1-item)
			want[hash] = append(want[hash], item)
		}
		pairs := lists.pairs(func(item uint32) uint32 { return limit - 1 - item })
		f := reopened(t, func(file *writer) { writeHashes(file, pairs, limit) })
		h := f.hashes()
		for hash, items := range want {
			slices.Sort(items)
			if got := h.of(hash); !slices.Equal(got, slices.Compact(items)) {
				t.Fatalf("hash %x finds %v, want %v", hash, got, items)
			}
			unsealed := lists.items(hash)
			for i := range unsealed {
				unsealed[i] = limit - 1 - unsealed[i]
			}
			if got := sorted(unsealed); !slices.Equal(got, slices.Compact(items)) {
				t.Fatalf("before it is sealed hash %x finds %v, want %v", hash, got, items)
			}
			if _, there := want[hash+1]; !there && len(h.of(hash+1)) > 0 {
				t.Fatalf("hash %x finds something", hash+1)
			}
		}
	})
}

// TestSets compares and, or and not with the same of Booleans. What a set that
// is not exact holds may be more, never less.
func TestSets(t *testing.T) {
	const n = 100
	rapid.Check(t, func(t *rapid.T) {
		s, want := drawSet(t, n, 4)
		got := make([]bool, n)
		has := s.has(n)
		for row := range uint32(n) {
			got[row] = has(row)
			if want[row] && !got[row] {
				t.Fatalf("row %d is missing", row)
			}
			if s.exact && got[row] != want[row] {
				t.Fatalf("row %d should not be there", row)
			}
		}
		if s.listed && (!slices.IsSorted(s.list) || len(slices.Compact(slices.Clone(s.list))) != len(s.list)) {
			t.Fatalf("the list %v is not ascending", s.list)
		}
	})
}

// drawSet draws a set, and the rows that are truly meant.
func drawSet(t *rapid.T, n, depth int) (set, []bool) {
	truth := make([]bool, n)
	if depth > 0 {
		switch rapid.SampledFrom([]string{"leaf", "and", "or", "not", "if"}).Draw(t, "what") {
		case "and":
			a, x := drawSet(t, n, depth-1)
			b, y := drawSet(t, n, depth-1)
			for i := range truth {
				truth[i] = x[i] && y[i]
			}
			return a.and(b), truth
		case "or":
			a, x := drawSet(t, n, depth-1)
			b, y := drawSet(t, n, depth-1)
			for i := range truth {
				truth[i] = x[i] || y[i]
			}
			return a.or(b, n), truth
		case "not":
			a, x := drawSet(t, n, depth-1)
			for i := range truth {
				truth[i] = !x[i]
			}
			return a.not(n), truth
		case "if":
			a, x := drawSet(t, n, depth-1)
			b, y := drawSet(t, n, depth-1)
			b.exact = a.exact && b.exact
			first := uint32(rapid.IntRange(0, n).Draw(t, "first"))
			for i := range truth {
				truth[i] = x[i] || y[i] && uint32(i) < first
			}
			s := a.orIf(b, n, func(row uint32) bool { return row < first })
			s.exact = s.exact && b.exact
			return s, truth
		}
	}
	return drawLeaf(t, n, truth)
}

func drawLeaf(t *rapid.T, n int, truth []bool) (set, []bool) {
	exact := rapid.Bool().Draw(t, "exact")
	rows := ascending(t, n)
	held := make([]bool, n)
	for _, row := range rows {
		held[row] = true
		truth[row] = exact || rapid.Bool().Draw(t, "true")
	}
	switch rapid.IntRange(0, 4).Draw(t, "form") {
	case 0:
		for i := range truth {
			truth[i] = exact || truth[i]
		}
		return everything(exact), truth
	case 4:
		kinds := &kindSet{fewKinds{}, rapid.SliceOfN(rapid.Bool(), someKinds, someKinds).Draw(t, "kinds")}
		for i := range truth {
			truth[i] = kinds.has(uint32(i)) && (exact || rapid.Bool().Draw(t, "true"))
		}
		return kinds.set(exact), truth
	case 1:
		return set{test: func(row uint32) bool { return held[row] }, exact: exact}, truth
	}
	return listed(rows, exact), truth
}

// A fewKinds is an index of which the kinds are known.
type fewKinds struct{ index }

const someKinds = 5

func (fewKinds) kindOf(row uint32) uint32 { return row * 7 % someKinds }

// TestWhere finds numbers of all widths that kinds have, on many pages of which the
// section begins and ends somewhere, and in parts of the column.
func TestWhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{1, 2, 3, 200, 257, 1000, 1 << 16}).Draw(t, "limit")
		before := rapid.IntRange(0, 2*pageBytes).Draw(t, "before")
		values := make([]uint32, rapid.SampledFrom([]int{1, 700, 60_000}).Draw(t, "n"))
		seed := rapid.Uint64().Draw(t, "seed")
		for i := range values {
			values[i] = uint32((seed+uint64(i))*0x9e3779b97f4a7c15>>40) % uint32(limit)
		}
		wanted := make([]bool, limit)
		for i := range wanted {
			wanted[i] = (seed>>(i%64))&1 != 0
		}
		f := reopened(t, func(file *writer) {
			file.section(make([]byte, before))
			writePacked(file, values, uint64(limit-1))
		})
		_ = f.section()
		c := f.packed(len(values))
		first := rapid.IntRange(0, len(values)).Draw(t, "first")
		end := rapid.IntRange(first, len(values)).Draw(t, "end")
		var want []uint32
		for i := first; i < end; i++ {
			if wanted[values[i]] {
				want = append(want, uint32(i))
			}
		}
		if got := c.where(nil, first, end, wanted); !slices.Equal(got, want) {
			t.Fatalf("found %d numbers, want %d", len(got), len(want))
		}
	})
}

// TestRadixSort checks it against the library's, above the size where it works.
func TestRadixSort(t *testing.T) {
	a := make([]uint64, 1<<13)
	for i := range a {
		a[i] = uint64(i) * 0x9e3779b97f4a7c15
		if i%2 == 0 {
			a[i] &= 0xffff
		}
	}
	want := slices.Clone(a)
	slices.Sort(want)
	if radixSort(a, make([]uint64, len(a))); !slices.Equal(a, want) {
		t.Error("numbers are out of order")
	}
}

// TestSectionsAcrossPages reads texts that lie across pages.
func TestSectionsAcrossPages(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef~"), 5000)
	f := reopened(t, func(file *writer) { file.section(data) })
	r := f.section()
	if !bytes.Equal(r.whole(), data) {
		t.Fatal("the section is not what was written")
	}
	for _, at := range []int64{0, pageBytes - 9, pageBytes - 8, pageBytes - 7, pageBytes - 1, pageBytes, 2*pageBytes - 4} {
		if got := r.bytes(nil, at, 20); !bytes.Equal(got, data[at:at+20]) {
			t.Errorf("at %d: %q, want %q", at, got, data[at:at+20])
		}
		want := uint64(0)
		for i := range int64(8) {
			want |= uint64(data[at+i]) << (8 * i)
		}
		if got := r.word(at); got != want {
			t.Errorf("the word at %d is %x, want %x", at, got, want)
		}
	}
}
