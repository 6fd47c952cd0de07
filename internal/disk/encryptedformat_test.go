package disk_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/custody-log/custody/internal/disk"
)

// The files of an encrypted log, as docs/format/encryption.md describes them,
// made by another program: what is written today must be read for ever.
//
// The file a holds "0123456789abcdef0123456789ABCDEF!" under testKey: 20 bytes
// in the span of its header, the others in a second one.
var frozen = map[string]string{
	"a":                                      "637573746372797001000000805693fd3617a0ab404142434445464748494a4b4c4d4e4f90899812b5260ba744cc03385cdfc7384f1433ab0028ab13e6224d2531b3a446d661c30728",
	"404142434445464748494a4b4c4d4e4f.spans": "637573747370616e01000000404142434445464748494a4b4c4d4e4f010000001400000000000000808182838485868788898a8b8c8d8e8f4de6f6e5",
}

// TestEncryptedFormat reads the frozen files, and goes on writing to them.
func TestEncryptedFormat(t *testing.T) {
	m := new(disk.Mem)
	for name, text := range frozen {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		put(t, m, name, string(raw), true)
	}
	const want = "0123456789abcdef0123456789ABCDEF!"
	if got := content(t, encrypt(t, m), "a"); got != want {
		t.Errorf("the frozen file holds %q", got)
	}
	put(t, encrypt(t, m), "a", "more", true)
	if got := content(t, encrypt(t, m), "a"); got != want+"more" {
		t.Errorf("the frozen file and more hold %q", got)
	}
}

// A damaged or forged list of spans must not let a file be read wrongly, nor
// bring down who reads it, wherever the damage is.
func TestEncryptedListDamage(t *testing.T) {
	for name, text := range frozen {
		for offset := range len(text) / 2 {
			for bit := range 8 {
				m := new(disk.Mem)
				for name, text := range frozen {
					raw, _ := hex.DecodeString(text)
					put(t, m, name, string(raw), true)
				}
				m.Flip(name, int64(offset), bit)
				_, err := encrypt(t, m).OpenRead("a")
				if inContent := name == "a" && offset >= headerBytes; (err == nil) != inContent {
					t.Errorf("%s with bit %d of byte %d flipped: %v", name, bit, offset, err)
				}
				if name == "a" && offset < 8 && !errors.Is(err, disk.ErrFileKey) {
					t.Errorf("%s without its magic: %v", name, err)
				}
			}
		}
	}
}
