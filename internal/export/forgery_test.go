package export_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/proof"
)

// A forgery is a bundle somebody changes who can make every hash anew.
type forgery struct {
	entries []entry
}

func (f *forgery) at(name string) *entry {
	for i := range f.entries {
		if f.entries[i].name == name {
			return &f.entries[i]
		}
	}
	panic("no " + name)
}

func (f *forgery) replace(name, from, to string) {
	e := f.at(name)
	if !bytes.Contains(e.content, []byte(from)) {
		panic(from + " is not in " + name)
	}
	e.content = bytes.Replace(e.content, []byte(from), []byte(to), 1)
}

func (f *forgery) remove(name string) {
	e := f.at(name)
	for i := range f.entries {
		if &f.entries[i] == e {
			f.entries = append(f.entries[:i:i], f.entries[i+1:]...)
			return
		}
	}
}

// settle makes the manifest fit the rest, as far as a forger can.
func (f *forgery) settle(t *testing.T, edit func(m *export.Manifest)) {
	t.Helper()
	m, err := export.ParseManifest(f.at(export.ManifestEntry).content)
	if err != nil {
		t.Fatal(err)
	}
	all := sha256.New()
	m.Receipts.Count, m.Receipts.Bytes = 0, 0
	for line := range bytes.Lines(f.at(export.EventsEntry).content) {
		seq, _, _ := strings.Cut(strings.TrimPrefix(string(line), `{"seq":`), ",")
		for _, e := range f.entries {
			if e.name == "receipts/"+seq+".receipt" {
				all.Write(e.content)
				m.Receipts.Count++
				m.Receipts.Bytes += int64(len(e.content))
			}
		}
	}
	m.Receipts.SHA256 = hex.EncodeToString(all.Sum(nil))
	m.Bytes = 0
	for i := range m.Files {
		content := f.at(m.Files[i].Name).content
		sum := sha256.Sum256(content)
		m.Files[i].Bytes, m.Files[i].SHA256 = int64(len(content)), hex.EncodeToString(sum[:])
		m.Bytes += m.Files[i].Bytes
	}
	m.Checkpoint = string(f.at("checkpoint").content)
	rows := int64(bytes.Count(f.at(export.EventsEntry).content, []byte("\n")))
	m.Files[2].Rows, m.Rows = rows, rows
	if edit != nil {
		edit(m)
	}
	if f.at(export.ManifestEntry).content, err = m.Encode(); err != nil {
		t.Fatal(err)
	}
}

// Somebody who makes evidence has all hashes in hand and not the log's key.
// None of this may be believed, and what is wrong must be found.
func TestForgeriesAreRefused(t *testing.T) {
	rows := makeRows(t, 4)
	countAll := func(m *export.Manifest) { m.Receipts.Count = 4 }
	for _, c := range []struct {
		name  string
		forge func(l *testLog, f *forgery)
		edit  func(m *export.Manifest)
		want  string // in the error
		event int64  // that it names, or -1
	}{
		{"nothing", func(*testLog, *forgery) {}, nil, "", -1},
		{"a word in an event", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `"source":"registry"`, `"source":"Registry"`) }, nil, "source", 0},
		{"a name in an event", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `"actor":{"type":"`, `"actor":{"type":"x`) }, nil, "actor.type", 0},
		{"the class", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `"class":"`, `"class":"x`) }, nil, "class", 0},
		{"the commitment", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `"commitment":"`, `"commitment":"A`) }, nil, "commitment", 0},
		{"a member more", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `"trust":`, `"extra":1,"trust":`) }, nil, "extra is not proved", 0},
		{"a member less", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `"trust":"witnessed",`, ``) }, nil, "trust is proved, and not there", 0},
		{"a member twice", func(_ *testLog, f *forgery) {
			f.replace("events.ndjson", `"trust":`, `"trust":"imported","trust":`)
		}, nil, "another way", 0},
		{"a space", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `"trust":`, `"trust": `) }, nil, "another way", 0},
		{"another seq", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `{"seq":0`, `{"seq":1`) }, nil, "receipt", 1},
		{"a seq of nothing", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `{"seq":0`, `{"seq":9`) }, countAll, "no receipt", 9},
		{"no seq", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `{"seq":0`, `{"Sek":0`) }, countAll, "no seq", -1},
		{"no JSON", func(_ *testLog, f *forgery) { f.replace("events.ndjson", `{"seq":0`, `["seq":0`) }, countAll, "line 1", -1},
		{"no line end", func(_ *testLog, f *forgery) {
			e := f.at("events.ndjson")
			e.content = bytes.TrimSuffix(e.content, []byte("\n"))
		}, func(m *export.Manifest) { m.Rows, m.Files[2].Rows = 4, 4 }, "newline", -1},
		{"two lines swapped", func(_ *testLog, f *forgery) {
			lines := bytes.SplitAfter(f.at("events.ndjson").content, []byte("\n"))
			lines[0], lines[1] = lines[1], lines[0]
			f.at("events.ndjson").content = bytes.Join(lines, nil)
		}, nil, "order", 0},
		{"an event in place of another", func(_ *testLog, f *forgery) {
			lines := bytes.SplitAfter(f.at("events.ndjson").content, []byte("\n"))
			f.at("events.ndjson").content = bytes.Join([][]byte{lines[0], lines[0], lines[2], lines[3]}, nil)
		}, nil, "order", 0},
		{"two receipts swapped", func(_ *testLog, f *forgery) {
			a, b := f.at("receipts/1.receipt"), f.at("receipts/2.receipt")
			a.content, b.content = b.content, a.content
		}, nil, "receipt of event 2", 1},
		{"a receipt that hides", func(l *testLog, f *forgery) {
			f.at("receipts/2.receipt").content = l.receipt(rows[2], l.size, "actor.type")
		}, nil, "actor.type is not proved", 2},
		{"a receipt that hides the time", func(l *testLog, f *forgery) {
			f.at("receipts/2.receipt").content = l.receipt(rows[2], l.size, "time")
		}, nil, "time", 2},
		{"a receipt under another tree", func(l *testLog, f *forgery) {
			f.at("receipts/3.receipt").content = l.receipt(rows[3], l.size-1)
		}, nil, "one checkpoint", 3},
		{"a receipt of another log", func(_ *testLog, f *forgery) {
			f.at("receipts/3.receipt").content = newLog(t, "other key", 6, rows...).receipt(rows[3], 6)
		}, nil, "signed by", 3},
		{"a receipt that is none", func(_ *testLog, f *forgery) { f.at("receipts/3.receipt").content = []byte("yes") }, nil, "tlog-proof", 3},
		{"a receipt missing", func(_ *testLog, f *forgery) { f.remove("receipts/1.receipt") }, nil, "receipts", -1},
		{
			"a receipt missing, and counted out", func(_ *testLog, f *forgery) { f.remove("receipts/1.receipt") },
			func(m *export.Manifest) { m.Rows, m.Files[2].Rows = 3, 3 }, "no receipt", 1,
		},
		{"a receipt too many", func(_ *testLog, f *forgery) {
			lines := bytes.SplitAfter(f.at("events.ndjson").content, []byte("\n"))
			f.at("events.ndjson").content = bytes.Join(lines[:3], nil)
		}, func(m *export.Manifest) { m.Receipts.Count, m.Rows, m.Files[2].Rows = 4, 4, 4 }, "4 receipts", -1},
		{"an older checkpoint", func(l *testLog, f *forgery) { f.at("checkpoint").content = l.checkpoint(5) }, nil, "one checkpoint", 0},
		{"a checkpoint of another log", func(_ *testLog, f *forgery) {
			f.at("checkpoint").content = newLog(t, "other key", 6, rows...).signed
		}, nil, "signed by", -1},
		{"another origin", func(*testLog, *forgery) {}, func(m *export.Manifest) { m.Origin = "log.example.org" }, "log.example.org", -1},
		{"another first seq", func(*testLog, *forgery) {}, func(m *export.Manifest) {
			one := int64(1)
			m.First, m.Files[2].First = &one, &one
		}, "first", -1},
		{"another order", func(*testLog, *forgery) {}, func(m *export.Manifest) { m.Order = export.Newest }, "order", 1},
		{"another checkpoint in the manifest", func(*testLog, *forgery) {}, func(m *export.Manifest) { m.Checkpoint = "x" }, "checkpoint", -1},
		{"fields erased that are not", func(*testLog, *forgery) {}, func(m *export.Manifest) { m.Erased, m.Files[2].Erased = 1, 1 }, "erased", -1},
		{"a hash of receipts", func(*testLog, *forgery) {}, func(m *export.Manifest) { m.Receipts.SHA256 = m.Files[0].SHA256 }, "hash of the receipts", -1},
		{"a size of receipts", func(*testLog, *forgery) {}, func(m *export.Manifest) { m.Receipts.Bytes++ }, "hash of the receipts", -1},
		{"a hash of events", func(*testLog, *forgery) {}, func(m *export.Manifest) { m.Files[2].SHA256 = m.Files[0].SHA256 }, "hashes to", -1},
		{"a hash of README.txt", func(*testLog, *forgery) {}, func(m *export.Manifest) { m.Files[0].SHA256 = m.Files[2].SHA256 }, "README.txt", -1},
		{"an export's manifest", func(*testLog, *forgery) {}, func(m *export.Manifest) { m.Format, m.Receipts = export.NDJSON, nil }, "not of a bundle", -1},
		{"an entry more", func(_ *testLog, f *forgery) { f.entries = append(f.entries, entry{"note.txt", nil}) }, nil, "note.txt", -1},
		{"a path", func(_ *testLog, f *forgery) { f.at("receipts/3.receipt").name = "receipts/../3.receipt" }, nil, "entry", -1},
		{"a seq in another spelling", func(_ *testLog, f *forgery) { f.at("receipts/3.receipt").name = "receipts/03.receipt" }, nil, "entry", -1},
		{"a receipt twice", func(_ *testLog, f *forgery) { f.at("receipts/3.receipt").name = "receipts/2.receipt" }, nil, "entry", -1},
		{"entries in another order", func(_ *testLog, f *forgery) {
			f.entries[0], f.entries[1] = f.entries[1], f.entries[0]
		}, nil, "README.txt", -1},
		{"no policy.txt", func(_ *testLog, f *forgery) { f.entries = f.entries[:4] }, nil, "policy.txt", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLog(t, "key", 6, rows...)
			f := &forgery{unzip(t, l.bundle())}
			c.forge(l, f)
			settleIfWhole(t, f, c.edit)
			report, err := check(rezip(t, f.entries), l.policy)
			if c.want == "" {
				if err != nil || report.Events != 4 {
					t.Fatalf("nothing was forged: %+v, %v", report, err)
				}
				return
			}
			var no *export.FalseError
			if !errors.As(err, &no) {
				t.Fatalf("accepted: %+v, %v", report, err)
			}
			if !strings.Contains(err.Error(), c.want) || no.Event != c.event {
				t.Errorf("error is %q about event %d, want %q about %d", err, no.Event, c.want, c.event)
			}
		})
	}
}

// settleIfWhole settles a forgery that still has what a manifest is about.
func settleIfWhole(t *testing.T, f *forgery, edit func(m *export.Manifest)) {
	t.Helper()
	if len(f.entries) >= 5 {
		f.settle(t, edit)
	}
}

// Whoever checks decides whom to believe, not the bundle.
func TestBundleIsCheckedWithOnesOwnKey(t *testing.T) {
	l := smallLog(t)
	other := newLog(t, "other key", 11, l.rows...)
	var no *export.FalseError
	if _, err := check(l.bundle(), other.policy); !errors.As(err, &no) || no.File != "checkpoint" {
		t.Errorf("checked with another log's key: %v", err)
	}
	text := "log " + l.vkey + "\nwitness w " + witnessKey + "\nquorum w\n"
	witnessed, err := proof.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check(l.bundle(), witnessed); !errors.As(err, &no) || !strings.Contains(err.Error(), "quorum") {
		t.Errorf("checked with a policy that asks for a witness: %v", err)
	}
}

// witnessKey is the key of a witness who signed nothing here.
const witnessKey = "w.example.org+ece994a6+BAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"

// What does not check must not be handed out as evidence.
func TestBadBundleIsNotWritten(t *testing.T) {
	rows := makeRows(t, 4)
	l := newLog(t, "key", 6, rows...)
	for _, c := range []struct {
		name    string
		row     *export.Row
		receipt []byte
	}{
		{"receipt of another event", rows[0], l.receipt(rows[1], 6)},
		{"receipt under another tree", rows[0], l.receipt(rows[0], 5)},
		{"receipt that hides", rows[0], l.receipt(rows[0], 6, "source")},
		{"class of another tag", &export.Row{Seq: 0, Record: rows[0].Record, Class: "x"}, l.receipt(rows[0], 6)},
		{"no record", &export.Row{Seq: 0}, l.receipt(rows[0], 6)},
	} {
		w, err := l.writer(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(c.row, c.receipt); err == nil {
			t.Errorf("%s: Add took it", c.name)
		}
		if _, err := w.Close(end); err == nil {
			t.Errorf("%s: Close after it made a bundle", c.name)
		}
	}
	w, err := l.writer(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Add(rows[0], l.receipt(rows[0], 6)), w.Add(rows[0], l.receipt(rows[0], 6))); !errors.Is(err, export.ErrOrder) {
		t.Errorf("an event twice: %v", err)
	}
	spool, err := new(disk.Mem).Open("spool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := export.NewBundleWriter(io.Discard, spool, meta, newLog(t, "other key", 6).signed, l.policy, nil); err == nil {
		t.Error("a checkpoint of another log was taken")
	}
}

// A bundle from a stranger must not fill the memory of who checks it.
func TestBundleLimits(t *testing.T) {
	l := newLog(t, "key", 6, makeRows(t, 4)...)
	data := l.bundle()
	for _, limits := range []export.Limits{{Bytes: int64(len(data)) - 1}, {Events: 3}, {Unpacked: 4000}} {
		var no *export.FalseError
		if _, err := export.OpenBundle(bytes.NewReader(data), int64(len(data)), limits); !errors.As(err, &no) {
			t.Errorf("within %+v: %v", limits, err)
		}
	}
	const huge = 64 << 20
	zeros := make([]byte, huge)
	for _, name := range []string{"README.txt", "checkpoint", "manifest.json", "policy.txt", "events.ndjson", "receipts/2.receipt"} {
		f := &forgery{unzip(t, data)}
		f.at(name).content = zeros
		if name == "events.ndjson" {
			f.settle(t, func(m *export.Manifest) { m.Rows, m.Files[2].Rows = 4, 4 })
		}
		bomb := rezip(t, f.entries)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var no *export.FalseError
		if _, err := check(bomb, l.policy); !errors.As(err, &no) {
			t.Errorf("%s of %d zeros in %d bytes: %v", name, huge, len(bomb), err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > huge/2 {
			t.Errorf("%s of %d zeros in %d bytes: takes %d bytes of memory", name, huge, len(bomb), took)
		}
	}
}

// An entry may not unpack to more, or to something else, than it says.
func TestEntriesAreWhatTheySay(t *testing.T) {
	l := newLog(t, "key", 6, makeRows(t, 4)...)
	data := l.bundle()
	good, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		entry string
		edit  func(h *zip.FileHeader) (more []byte)
	}{
		{"as it is", "README.txt", func(*zip.FileHeader) []byte { return nil }},
		{"too long", "README.txt", func(h *zip.FileHeader) []byte { h.UncompressedSize64--; return nil }},
		{"too short", "README.txt", func(h *zip.FileHeader) []byte { h.UncompressedSize64++; return nil }},
		{"of another checksum", "receipts/2.receipt", func(h *zip.FileHeader) []byte { h.CRC32++; return nil }},
		{"with more after it", "receipts/2.receipt", func(*zip.FileHeader) []byte { return []byte("hidden") }},
		{"events too long", "events.ndjson", func(h *zip.FileHeader) []byte { h.UncompressedSize64--; return nil }},
		{"events of another checksum", "events.ndjson", func(h *zip.FileHeader) []byte { h.CRC32++; return nil }},
	} {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for _, f := range good.File {
			raw, err := f.OpenRaw()
			if err != nil {
				t.Fatal(err)
			}
			h := f.FileHeader
			var more []byte
			if f.Name == c.entry {
				more = c.edit(&h)
				h.CompressedSize64 += uint64(len(more))
			}
			h.Modified = time.Time{}
			in, err := w.CreateRaw(&h)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(in, io.MultiReader(raw, bytes.NewReader(more))); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.SetComment(export.NoSeal), w.Close()); err != nil {
			t.Fatal(err)
		}
		_, err := check(reseal(out.Bytes()), l.policy)
		var no *export.FalseError
		if good := c.name == "as it is"; good && err != nil || !good && (!errors.As(err, &no) || no.File != c.entry) {
			t.Errorf("%s is %s: %v", c.entry, c.name, err)
		}
	}
}

// A disk that fails says nothing about the evidence.
func TestReadErrorIsNoVerdict(t *testing.T) {
	l := newLog(t, "key", 6, makeRows(t, 4)...)
	data := l.bundle()
	broken := errors.New("broken")
	for at := 0; ; at++ {
		r := &breaking{r: bytes.NewReader(data), left: at, err: broken}
		b, err := export.OpenBundle(r, int64(len(data)), export.Limits{})
		if err == nil {
			_, err = b.Check(l.policy)
		}
		if err == nil {
			return
		}
		var no *export.FalseError
		if !errors.Is(err, broken) || errors.As(err, &no) {
			t.Fatalf("read %d fails: %v", at, err)
		}
	}
}

// A breaking reader fails after some reads.
type breaking struct {
	r    io.ReaderAt
	left int
	err  error
}

func (b *breaking) ReadAt(p []byte, off int64) (int, error) {
	if b.left--; b.left < 0 {
		return 0, b.err
	}
	return b.r.ReadAt(p, off)
}

// FuzzOpenBundle checks that no bytes make opening or checking panic, with the
// seal made anew so that they get past it.
func FuzzOpenBundle(f *testing.F) {
	l := newLog(f, "key", 4, makeRows(f, 2)...)
	data := l.bundle()
	f.Add(data)
	f.Add(data[:len(data)-len(export.NoSeal)])
	f.Add(newLog(f, "key", 1).bundle())
	f.Fuzz(func(_ *testing.T, data []byte) {
		check(data, l.policy)
		check(append(bytes.Clone(data), export.Seal(data)...), l.policy)
		if len(data) > len(export.NoSeal) {
			check(reseal(data), l.policy)
		}
	})
}
