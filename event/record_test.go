package event_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/event"
)

// sealed returns the fields of full, some of them personal, and their record.
func sealed(t testing.TB) (event.Fields, []byte) {
	t.Helper()
	fields, err := event.Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	for i := range fields {
		fields[i].Private = fields[i].Name == "context.ip" || fields[i].Name == "actor.name"
	}
	s := event.Secrets{Open: [16]byte{1, 2, 3}, Private: [16]byte{4, 5, 6}}
	body, _ := event.AppendRecord(nil, fields, &s)
	return fields, body
}

func TestRecordRoundTrip(t *testing.T) {
	fields, body := sealed(t)
	r, err := event.DecodeRecord(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(texts(fields), texts(r.Open())); diff != "" {
		t.Errorf("fields (-sealed +decoded):\n%s", diff)
	}
	c, err := event.StoredCommitment(body)
	if err != nil || c != r.Commitment {
		t.Errorf("StoredCommitment = %x, %v, want %x", c, err, r.Commitment)
	}
}

// A record verifies however long its values are: Verify pads what it hashes by
// itself, and if a length were padded wrongly, a sound log would be called
// damaged.
func TestVerifyEveryLength(t *testing.T) {
	for n := range 200 {
		f := event.Fields{event.StringField("reason", strings.Repeat("r", n)), event.StringField("tag", "user:login:add")}
		f[0].Private = n%2 == 0
		body, _ := event.AppendRecord(nil, f, &event.Secrets{Open: [16]byte{1}, Private: [16]byte{2}})
		r, err := event.DecodeRecord(body)
		if err == nil {
			err = r.Verify()
		}
		if err != nil {
			t.Errorf("a value of %d bytes: %v", n, err)
		}
	}
}

// TestRecordFlips changes each bit of a record in turn. Whatever still decodes
// must fail to verify, unless the bit is the note of which secret a salt comes
// from of a field whose salts are both unknown to nobody: there is none.
func TestRecordFlips(t *testing.T) {
	_, body := sealed(t)
	for i := range body {
		for bit := range 8 {
			changed := bytes.Clone(body)
			changed[i] ^= 1 << bit
			r, err := event.DecodeRecord(changed)
			if err == nil {
				err = r.Verify()
			}
			if err == nil {
				t.Errorf("bit %d of byte %d was changed, and the record still verifies", bit, i)
			} else if !errors.Is(err, event.ErrRecord) && !errors.Is(err, event.ErrCommitment) {
				t.Errorf("bit %d of byte %d: %v", bit, i, err)
			}
		}
	}
}

// FuzzDecodeRecord checks that no bytes make decoding panic, and that a record
// has one encoding.
func FuzzDecodeRecord(f *testing.F) {
	_, body := sealed(f)
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := event.DecodeRecord(body)
		if err != nil || r.Verify() != nil {
			return
		}
		for _, field := range r.Fields {
			if field.Erased || field.Explicit {
				return
			}
		}
		if again, _ := event.AppendRecord(nil, r.Open(), &r.Secrets); !bytes.Equal(again, body) {
			t.Error("decoding and encoding again gives other bytes")
		}
	})
}

func TestAppendRecordPanics(t *testing.T) {
	for name, f := range map[string]event.Fields{
		"no fields":    {},
		"out of order": {event.StringField("b", ""), event.StringField("a", "")},
		"twice":        {event.StringField("a", ""), event.StringField("a", "")},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("AppendRecord did not panic")
				}
			}()
			event.AppendRecord(nil, f, new(event.Secrets))
		})
	}
}
