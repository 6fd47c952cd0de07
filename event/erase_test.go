package event_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/proof"
)

// anyRecord draws a record with at least one private field.
func anyRecord(t *rapid.T) (event.Fields, *event.Secrets, []byte) {
	names := rapid.SampledFrom([]string{
		"actor.id", "actor.name", "actor.type", "changes.0.new", "changes.11.old", "context.ip", "id", "metadata.a", "metadata.by",
		"reason", "some.later.name", "subjects.0.id", "subjects.10.name", "subjects.2.name", "tag", "time", "zzz",
	})
	drawn := make(map[string]bool)
	for _, name := range rapid.SliceOfN(names, 1, 20).Draw(t, "names") {
		drawn[name] = true
	}
	var fields event.Fields
	for i, name := range slices.Sorted(maps.Keys(drawn)) {
		f := event.Field{Name: name, Private: rapid.Bool().Draw(t, "private")}
		f.Type = rapid.SampledFrom([]event.Type{event.String, event.String, event.Int, event.IP, event.JSON, event.Bool}).Draw(t, "type")
		switch f.Type {
		case event.Int:
			f.Value = anyBytes(8).Draw(t, "int")
			f.Value[0] = byte(i)
		case event.IP:
			f.Value = anyBytes(16).Draw(t, "ip")
			f.Value[0] = byte(i)
		case event.Bool:
			f.Value = []byte{byte(rapid.IntRange(0, 1).Draw(t, "bool"))}
		default:
			f.Value = fmt.Appendf(nil, "value %d %x", i, anyBytes(8).Draw(t, "text"))
		}
		fields = append(fields, f)
	}
	fields[rapid.IntRange(0, len(fields)-1).Draw(t, "surely private")].Private = true
	s := new(event.Secrets)
	copy(s.Open[:], anyBytes(event.SecretBytes).Draw(t, "open secret"))
	copy(s.Private[:], anyBytes(event.SecretBytes).Draw(t, "private secret"))
	s.Open[0] = ^s.Private[0]
	body, _ := event.AppendRecord(nil, fields, s)
	return fields, s, body
}

// anyBytes draws n bytes that are not all alike, so that they are found nowhere
// by chance.
func anyBytes(n int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rapid.Uint64().Draw(t, "byte")>>3) ^ byte(37*i+1)
		}
		return b
	})
}

// drawErasure draws which of the private fields are to go.
func drawErasure(t *rapid.T, fields event.Fields) map[int]bool {
	gone := make(map[int]bool)
	for i := range fields {
		if fields[i].Private && rapid.Bool().Draw(t, "gone") {
			gone[i] = true
		}
	}
	return gone
}

func erase(t rapid.TB, body []byte, gone map[int]bool) []byte {
	t.Helper()
	changed, err := event.Erase(body, func(i int, _ *event.StoredField) bool { return gone[i] })
	if err != nil {
		t.Fatalf("Erase: %v", err)
	}
	return changed
}

func decode(t rapid.TB, body []byte) *event.Record {
	t.Helper()
	r, err := event.DecodeRecord(body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEraseLeavesNothing checks that what was erased, its salt and the private
// secret are nowhere in the record. Were they, the address of somebody who asked
// to be forgotten would be found by whoever reads the disk.
func TestEraseLeavesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields, secrets, body := anyRecord(t)
		gone := drawErasure(t, fields)
		changed := erase(t, body, gone)
		if len(gone) == 0 {
			return
		}
		if bytes.Contains(changed, secrets.Private[:]) {
			t.Error("the private secret is still there")
		}
		for i := range gone {
			salt := event.SaltOf(secrets, i, true)
			if bytes.Contains(changed, salt[:]) {
				t.Errorf("the salt of field %s is still there", fields[i].Name)
			}
			if len(fields[i].Value) > 1 && bytes.Contains(changed, fields[i].Value) {
				t.Errorf("the value of field %s is still there", fields[i].Name)
			}
		}
	})
}

// TestEraseKeepsTheRest checks that the commitment, the other fields and what
// was shown of them to others stay as they are: a receipt that somebody keeps
// must not become worthless because somebody else was forgotten.
func TestEraseKeepsTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields, _, body := anyRecord(t)
		gone := drawErasure(t, fields)
		before, after := decode(t, body), decode(t, erase(t, body, gone))
		if err := after.Verify(); err != nil || after.Commitment != before.Commitment {
			t.Fatalf("the record has commitment %x and verifies as %v, want %x", after.Commitment, err, before.Commitment)
		}
		var want event.Fields
		for i := range fields {
			if !gone[i] {
				want = append(want, fields[i])
			}
		}
		if diff := cmp.Diff(texts(want), texts(after.Open())); diff != "" {
			t.Errorf("fields (-want +got):\n%s", diff)
		}
		shown := func(f *event.Field) bool {
			i := slices.IndexFunc(fields, func(other event.Field) bool { return other.Name == f.Name })
			return !gone[i] && (!f.Private || i%2 == 0)
		}
		d := proof.Disclose(after, shown)
		if d.Commitment() != before.Commitment {
			t.Error("a disclosure of what stayed does not lead to the commitment")
		}
		if !bytes.Equal(d.Encode(), proof.Disclose(before, shown).Encode()) {
			t.Error("a disclosure made before and one made after differ")
		}
	})
}

// TestEraseAgain checks that erasing twice is erasing once, and that erasing
// one by one is erasing all: an erasure that a crash cut short is run again, and
// two people may be erased from one event.
func TestEraseAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields, _, body := anyRecord(t)
		first, second := drawErasure(t, fields), drawErasure(t, fields)
		once := erase(t, body, first)
		if again := erase(t, once, first); !bytes.Equal(once, again) {
			t.Error("erasing the same again gives another record")
		}
		both := maps.Clone(first)
		maps.Copy(both, second)
		if a, b := erase(t, once, second), erase(t, body, both); !bytes.Equal(a, b) {
			t.Error("erasing some and then others differs from erasing all of them")
		}
	})
}

// TestEraseRefuses checks what cannot be erased: a project's history, and what
// is damaged already.
func TestEraseRefuses(t *testing.T) {
	_, body := sealed(t)
	all := func(int, *event.StoredField) bool { return true }
	if changed, err := event.Erase(body, all); err == nil || !strings.Contains(err.Error(), "is not private") || changed != nil {
		t.Errorf("Erase of fields that are not private = %d bytes, %v", len(changed), err)
	}
	private := func(_ int, f *event.StoredField) bool { return f.Private }
	bad := bytes.Clone(body)
	bad[len(bad)-1] ^= 1
	if changed, err := event.Erase(bad, private); !errors.Is(err, event.ErrCommitment) || changed != nil {
		t.Errorf("Erase of a record that does not verify = %d bytes, %v, want %v", len(changed), err, event.ErrCommitment)
	}
	if _, err := event.Erase(body[:40], private); !errors.Is(err, event.ErrRecord) {
		t.Errorf("Erase of half a record = %v, want %v", err, event.ErrRecord)
	}
}

// TestAppendBody checks that a record has one encoding, erased or not: a segment
// that holds records in parts must give back the very bytes.
func TestAppendBody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields, _, body := anyRecord(t)
		for _, b := range [][]byte{body, erase(t, body, drawErasure(t, fields))} {
			prefix := []byte("kept")
			if got := decode(t, b).AppendBody(prefix); !bytes.Equal(got, append(prefix, b...)) {
				t.Errorf("AppendBody of a decoded record:\n%x, want\n%x", got, b)
			}
		}
	})
}

// FuzzAppendBody checks the same for whatever decodes.
func FuzzAppendBody(f *testing.F) {
	_, body := sealed(f)
	f.Add(body)
	changed, err := event.Erase(body, func(_ int, f *event.StoredField) bool { return f.Name == "context.ip" })
	if err != nil {
		f.Fatal(err)
	}
	f.Add(changed)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := event.DecodeRecord(body)
		if err != nil {
			return
		}
		if got := r.AppendBody(nil); !bytes.Equal(got, body) {
			t.Errorf("decoding and encoding again gives\n%x, want\n%x", got, body)
		}
	})
}

func TestAppendBodyPanics(t *testing.T) {
	for name, spoil := range map[string]func(*event.Record){
		"out of order":        func(r *event.Record) { r.Fields[0], r.Fields[1] = r.Fields[1], r.Fields[0] },
		"erased and explicit": func(r *event.Record) { r.Fields[0].Erased, r.Fields[0].Explicit = true, true },
		"explicit, not private": func(r *event.Record) {
			r.Fields[0].Private, r.Fields[0].Explicit = false, true
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, body := sealed(t)
			r := decode(t, body)
			spoil(r)
			defer func() {
				if recover() == nil {
					t.Error("AppendBody did not panic")
				}
			}()
			r.AppendBody(nil)
		})
	}
}
