package disk_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/disk"
)

// A key file must read back as the key it was made of, or what was encrypted is
// lost for good.
func TestFileKey(t *testing.T) {
	key, err := disk.GenerateFileKey()
	if err != nil {
		t.Fatal(err)
	}
	again := fileKey(t, string(key.Format()))
	if again.ID() != key.ID() || !bytes.Equal(again.Format(), key.Format()) {
		t.Error("a key file reads as another key")
	}
	if other, err := disk.GenerateFileKey(); err != nil || other.ID() == key.ID() {
		t.Errorf("two generated keys are the same, %v", err)
	}
	if got := fileKey(t, "# mine\n\n  "+testKey+"\r\n# end").ID(); got != fileKey(t, testKey).ID() {
		t.Error("comments changed the key")
	}
}

// TestFileKeyRefused checks that a text which is not exactly one key is
// refused, with its line, and never repeated: errors go into logs.
func TestFileKeyRefused(t *testing.T) {
	line := strings.TrimSpace(testKey)
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"", "no line with a key"},
		"comments":     {"# nothing\n", "no line with a key"},
		"two keys":     {testKey + testKey, "line 2: a second key"},
		"no prefix":    {strings.TrimPrefix(testKey, "custody-file-key-v1 "), "line 1: want"},
		"next version": {strings.Replace(testKey, "v1", "v2", 1), "line 1: want"},
		"short":        {line[:len(line)-4] + "\n", "line 1: want"},
		"long":         {"custody-file-key-v1 " + strings.Repeat("QUFB", 11) + "\n", "line 1: want"},
		"spare bits":   {strings.Replace(testKey, "Hh8=", "Hh9=", 1), "line 1: want"},
		"two words":    {line + " x\n", "line 1: want"},
		"too long":     {strings.Repeat("#", 64<<10) + "\n", "at most"},
	} {
		_, err := disk.LoadFileKey([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "AAECAw") {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}

// Whoever prints a key by mistake, in whatever way, must not show it.
func TestFileKeyPrinted(t *testing.T) {
	key := fileKey(t, testKey)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "key", key)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "key", key)
	var printed strings.Builder
	printed.WriteString(log.String())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		printed.WriteString(fmt.Sprintf(verb+" ", key) + fmt.Sprintf(verb+" ", []any{key}))
	}
	for _, secret := range []string{"AAECAw", "00010203", "000102", "0x0, 0x1", "[0 1 2"} {
		if strings.Contains(printed.String(), secret) {
			t.Errorf("printing shows %q in %q", secret, printed.String())
		}
	}
}
