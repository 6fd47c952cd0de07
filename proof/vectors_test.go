package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/proof"
)

var update = flag.Bool("update", false, "write testdata/vectors anew; they are frozen, so only for new files")

const vectorsDir = "../testdata/vectors"

// A vector is one file of testdata/vectors: everything that happens to one
// event from its JSON to a receipt. Bytes are hexadecimal.
type vector struct {
	Name       string          `json:"name"`
	Event      json.RawMessage `json:"event"`   // what the source sent
	Added      []vectorField   `json:"added"`   // what the log added
	Private    []string        `json:"private"` // names of the fields salted from the private secret
	Hidden     []string        `json:"hidden"`  // names of the fields that the receipt does not show
	Secrets    vectorSecrets   `json:"secrets"`
	Fields     []vectorField   `json:"fields"` // all, in order
	Commitment string          `json:"commitment"`
	Entry      string          `json:"entry"`
	Leaf       string          `json:"leaf"`
	Record     string          `json:"record"`
	Index      int64           `json:"index"`
	Size       int64           `json:"size"`
	Key        string          `json:"key"` // the log's public key
	Receipt    string          `json:"receipt"`
}

type vectorSecrets struct {
	Open    string `json:"open"`
	Private string `json:"private"`
}

type vectorField struct {
	Name   string `json:"name"`
	Type   int    `json:"type"`
	Value  string `json:"value"`
	Salt   string `json:"salt,omitempty"`
	Digest string `json:"digest,omitempty"`
}

// vectorInputs are the events the vectors are about: the places where two
// implementations could differ.
var vectorInputs = []struct {
	name, json      string
	private, hidden []string
	index, size     int64
}{
	{
		"minimal", `{"id":"1","tag":"user:login:success","time":"2026-03-31T00:21:00Z","actor":{"type":"anonymous"}}`,
		nil, nil, 0, 1,
	},
	{
		"release", `{"id":"0195e9a2-7b1e-7c3a-9d2f-0123456789ab","tag":"project:release:add","time":"2026-03-31T02:21:00.123456789+02:00","outcome":"success",
 "actor":{"type":"user","id":"u42","name":"alice"},"credential":{"kind":"token","id":"9f86d081","name":"deploy","mfa":"none"},
 "subjects":[{"type":"project","id":"pkg:npm/demo-pkg","name":"demo-pkg"},{"type":"version","id":"pkg:npm/demo-pkg@1.0.0","name":"demo-pkg","version":"1.0.0"}],
 "context":{"ip":"203.0.113.9","user_agent":"npm/11.19.1 node/v20.20.2","request_id":"r-1","origin":"cli"},
 "changes":[{"field":"latest","old":"0.9.0","new":"1.0.0"}],
 "metadata":{"version":"1.0.0","attested":false,"bytes":1048576},"source_seq":41}`,
		[]string{"actor.id", "actor.name", "context.ip", "context.user_agent", "credential.id", "credential.name"},
		[]string{"actor.id", "context.ip", "context.user_agent", "credential.id", "credential.name", "source_seq"},
		6, 7,
	},
	{
		"values", `{"id":"caf\u00e9 \ud83d\ude00 \"\\\/\b\f\n\r\t","tag":"project:stamp:add","time":"1970-01-01T00:00:00Z","actor":{"type":"service","name":""},
 "context":{"ip":"2001:db8::1"},"metadata":{"whole":-0,"one":1.0,"big":9223372036854775807,"half":1.50,"tiny":1e-7,"huge":1e21,"yes":true,"empty":"",
 "deep":{"\u20ac":"Euro","\r":"CR","\ufb33":"Hebrew","1":"One","\ud83d\ude00":"Smiley","\u0080":"Control","\u00f6":"o","</script>":[null,true,-0.0,333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001]}}}`,
		[]string{"metadata.deep"},
		[]string{"metadata.whole"},
		255, 300,
	},
	{
		"many", `{"id":"m","tag":"org:team:create","time":"9999-12-31T23:59:59.999999Z","actor":{"type":"admin","name":"root"},
 "subjects":[{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"user"},{"type":"team","name":"eleventh"}],
 "changes":[{"field":"a"},{"field":"b","old":1,"new":true}],"context":{"ip":"::ffff:198.51.100.7"},"reason":"r","reason_internal":"i"}`,
		[]string{"actor.name", "context.ip", "reason", "reason_internal"},
		nil, 256, 513,
	},
}

// build computes a vector from its input.
func build(t *testing.T, n int) *vector {
	t.Helper()
	in := vectorInputs[n]
	v := &vector{Name: in.name, Event: json.RawMessage(in.json), Private: in.private, Hidden: in.hidden, Index: in.index, Size: in.size}
	seed := sha256.Sum256([]byte("custody vector " + in.name))
	s := event.Secrets{Open: [16]byte(seed[:16]), Private: [16]byte(seed[16:])}
	v.Secrets = vectorSecrets{hex.EncodeToString(s.Open[:]), hex.EncodeToString(s.Private[:])}

	added := event.Fields{
		{Name: "received", Type: event.Time, Value: []byte{0, 6, 0x2f, 0x2d, 0x7c, 0x11, 0x22, 0x33}},
		event.StringField("source", "registry"),
		event.StringField("trust", "witnessed"),
		event.StringField("outcome", "success"),
	}
	fields, err := (&event.Parser{Added: added}).Parse([]byte(in.json))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range added {
		v.Added = append(v.Added, vectorField{Name: f.Name, Type: int(f.Type), Value: hex.EncodeToString(f.Value)})
	}
	hidden := make(map[string]bool)
	for _, name := range in.hidden {
		hidden[name] = true
	}
	for _, name := range in.private {
		i := 0
		for fields[i].Name != name {
			i++
		}
		fields[i].Private = true
	}
	body, commitment := event.AppendRecord(nil, fields, &s)
	record, err := event.DecodeRecord(body)
	if err != nil {
		t.Fatal(err)
	}
	digests, salts := record.Digests()
	for i, f := range fields {
		v.Fields = append(v.Fields, vectorField{
			f.Name, int(f.Type), hex.EncodeToString(f.Value), hex.EncodeToString(salts[i][:]), hex.EncodeToString(digests[i][:]),
		})
	}
	entry := commitment.Entry()
	leaf := tlog.RecordHash(entry[:])
	v.Commitment, v.Entry, v.Leaf = hex.EncodeToString(commitment[:]), hex.EncodeToString(entry[:]), hex.EncodeToString(leaf[:])
	v.Record = hex.EncodeToString(body)
	d := proof.Disclose(record, func(f *event.Field) bool { return !hidden[f.Name] })
	v.seal(t, d, entry)
	return v
}

// seal puts the entry into a tree whose other entries are their positions, and
// makes the receipt.
func (v *vector) seal(t *testing.T, d proof.Disclosure, entry event.Entry) {
	t.Helper()
	var hashes hashes
	for i := range v.Size {
		data := fmt.Append(nil, i)
		if i == v.Index {
			data = entry[:]
		}
		grown, err := tlog.StoredHashes(i, data, hashes)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, grown...)
	}
	root, err := tlog.TreeHash(v.Size, hashes)
	if err != nil {
		t.Fatal(err)
	}
	signer := vectorSigner(t, &v.Key)
	checkpoint, err := proof.SignCheckpoint(tlog.Tree{N: v.Size, Hash: root}, signer)
	if err != nil {
		t.Fatal(err)
	}
	path, err := tlog.ProveRecord(v.Size, v.Index, hashes)
	if err != nil {
		t.Fatal(err)
	}
	text, err := proof.NewReceipt(d, proof.Proof{Index: v.Index, Path: path, Checkpoint: checkpoint}).Format()
	if err != nil {
		t.Fatal(err)
	}
	v.Receipt = string(text)
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		list[i] = h[x]
	}
	return list, nil
}

// vectorSigner returns the key of the vectors. Its secret is public.
func vectorSigner(t *testing.T, public *string) note.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("custody vectors"))
	skey, vkey, err := note.GenerateKey(bytes.NewReader(seed[:]), "custody.example/vectors")
	if err != nil {
		t.Fatal(err)
	}
	// GenerateKey may read its randomness as it likes; the seed is what counts.
	private := ed25519.NewKeyFromSeed(seed[:])
	if want := base64.StdEncoding.EncodeToString(append([]byte{1}, private.Public().(ed25519.PublicKey)...)); vkey[len(vkey)-len(want):] != want {
		t.Fatalf("key %s was not made from the seed", vkey)
	}
	*public = vkey
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// TestVectors fails when a frozen format changes. If it fails, the change
// breaks every receipt in the field: add a version instead.
func TestVectors(t *testing.T) {
	for n, in := range vectorInputs {
		t.Run(in.name, func(t *testing.T) {
			v := build(t, n)
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", " ")
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(vectorsDir, in.name+".json")
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("%s is not what the code computes now:\n%s", file, b.Bytes())
			}
		})
	}
}

// TestReceiptBytes changes each byte of a receipt in turn: none may verify.
func TestReceiptBytes(t *testing.T) {
	v := build(t, 1)
	policy, err := proof.KeyPolicy(v.Key)
	if err != nil {
		t.Fatal(err)
	}
	good, err := proof.ParseReceipt([]byte(v.Receipt))
	if err != nil {
		t.Fatal(err)
	}
	verified, err := good.Verify(policy)
	if err != nil {
		t.Fatal(err)
	}
	if verified.Seq != v.Index || verified.Hidden != len(v.Hidden) || verified.Fields.Text("actor.name") != "alice" {
		t.Errorf("Verify = %+v", verified)
	}
	for i := range v.Receipt {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			changed := []byte(v.Receipt)
			changed[i] ^= flip
			r, err := proof.ParseReceipt(changed)
			if err == nil {
				_, err = r.Verify(policy)
			}
			if err == nil {
				t.Errorf("byte %d was changed from %q to %q, and the receipt still verifies", i, v.Receipt[i], changed[i])
			}
		}
	}
}

// FuzzDecodeDisclosure checks that no bytes make decoding panic, and that a
// disclosure has one encoding.
func FuzzDecodeDisclosure(f *testing.F) {
	f.Add([]byte{1, 0, 1, 0})
	d := proof.Disclosure{{Digest: event.Digest{1}}, {Open: true, Name: "a", Type: event.Bool, Value: []byte{1}}}
	f.Add(d.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := proof.DecodeDisclosure(b)
		if err == nil && !bytes.Equal(d.Encode(), b) {
			t.Error("decoding and encoding again gives other bytes")
		}
	})
}

// TestDecodeDisclosureRefuses checks that an event cannot be shown in two ways.
func TestDecodeDisclosureRefuses(t *testing.T) {
	open := func(name string) proof.DisclosedField {
		return proof.DisclosedField{Open: true, Name: name, Type: event.String, Value: []byte("x")}
	}
	closed := proof.DisclosedField{Digest: event.Digest{1}}
	for name, d := range map[string]proof.Disclosure{
		"no fields":    {},
		"name twice":   {open("a"), closed, open("a")},
		"out of order": {open("b"), open("a")},
		"no name":      {open("")},
		"bad name":     {open("\xff")},
		"unknown type": {{Open: true, Name: "a", Type: 9}},
		"short number": {{Open: true, Name: "a", Type: event.Int, Value: []byte{1}}},
		"bad text":     {{Open: true, Name: "a", Type: event.String, Value: []byte{0xff}}},
		"odd truth":    {{Open: true, Name: "a", Type: event.Bool, Value: []byte{2}}},
	} {
		if _, err := proof.DecodeDisclosure(d.Encode()); err == nil {
			t.Errorf("%s: DecodeDisclosure accepted it", name)
		}
	}
	good := proof.Disclosure{open("a"), closed}.Encode()
	for name, b := range map[string][]byte{
		"other version": append([]byte{2}, good[1:]...),
		"cut":           good[:len(good)-1],
		"longer":        append(bytes.Clone(good), 0),
		"nothing":       {},
	} {
		if _, err := proof.DecodeDisclosure(b); err == nil {
			t.Errorf("%s: DecodeDisclosure accepted it", name)
		}
	}
}
