package registry_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/internal/registry"
)

func compressed(t testing.TB, encoding string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	case "flate":
		w, _ = flate.NewWriter(&b, 6)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A body is the same whether or not it was compressed, in whatever pieces it
// comes.
func TestDecompressed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		form := rapid.SampledFrom([]string{"gzip", "zlib", "flate"}).Draw(t, "form")
		piece := rapid.IntRange(1, 100).Draw(t, "piece")
		encoding := map[string]string{"gzip": "GZIP", "zlib": "deflate", "flate": "deflate"}[form]
		var got bytes.Buffer
		w, ok := registry.Decompressed(&got, encoding)
		if !ok {
			t.Fatalf("encoding %q is not known", encoding)
		}
		for rest := compressed(&testing.T{}, form, data); len(rest) > 0; {
			n := min(piece, len(rest))
			_, _ = w.Write(rest[:n]) // it never fails
			rest = rest[n:]
		}
		if err := w.Close(); err != nil || !bytes.Equal(got.Bytes(), data) {
			t.Fatalf("%s: %d bytes became %d, %v", form, len(data), got.Len(), err)
		}
	})
}

// What is broken disturbs nobody, and is told at the end.
func TestDecompressedBroken(t *testing.T) {
	whole := compressed(t, "gzip", []byte(strings.Repeat("some text ", 1000)))
	wrongSum := bytes.Clone(whole)
	wrongSum[len(wrongSum)-5] ^= 1
	tests := map[string][]byte{
		"nothing": nil, "noise": []byte("this is not compressed"), "cut": whole[:len(whole)/2], "wrong sum": wrongSum,
		"one byte": {0x1f},
	}
	for name, data := range tests {
		for _, encoding := range []string{"gzip", "deflate"} {
			w, _ := registry.Decompressed(io.Discard, encoding)
			if n, err := w.Write(data); n != len(data) || err != nil {
				t.Errorf("%s as %s: Write = %d, %v", name, encoding, n, err)
			}
			_, _ = w.Write([]byte("and more after it")) // it never fails
			if err := w.Close(); err == nil {
				t.Errorf("%s as %s: Close told nothing", name, encoding)
			}
		}
	}
	if _, ok := registry.Decompressed(io.Discard, "br"); ok {
		t.Error("br is said to be known")
	}
	if w, ok := registry.Decompressed(io.Discard, ""); !ok || w.Close() != nil {
		t.Error("a plain body is not passed on")
	}
}
