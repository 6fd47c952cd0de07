package event_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/custody-log/custody/event"
)

// TestOpenSecretVectors holds open secrets to values that were computed by
// another program. If they changed, receipts of records whose secret is not kept
// could not be made any more.
func TestOpenSecretVectors(t *testing.T) {
	counting := [event.SecretBytes]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for _, tt := range []struct {
		name       string
		key        [event.SecretBytes]byte
		source, id string
		want       string
	}{
		{"key of zeros", [event.SecretBytes]byte{}, "registry", "1", "7ac05d380b50fc7c31343b1f007dae35"},
		{"usual", counting, "npm-proxy", "0193a7c2-7b1e-7c3a-9d2f-000000000001", "b98854553f49159ab51dbc87f7b579c2"},
		{"the same letters, cut elsewhere", counting, "npm", "-proxy0193a7c2-7b1e-7c3a-9d2f-000000000001", "422d41a40125ad34b8252546ce029c5a"},
		{"longest", counting, strings.Repeat("s", 255), strings.Repeat("i", event.MaxIDBytes), "94ea52e517023c9389a000328af05f51"},
	} {
		text := event.OpenSecret(&tt.key, tt.source, tt.id)
		raw := event.OpenSecret(&tt.key, tt.source, []byte(tt.id))
		if got := hex.EncodeToString(text[:]); got != tt.want || raw != text {
			t.Errorf("%s: OpenSecret = %s and %x, want %s", tt.name, got, raw, tt.want)
		}
	}
}

// TestOpenSecretNeedsNoMemory checks that a secret, which every event needs,
// costs no garbage.
func TestOpenSecretNeedsNoMemory(t *testing.T) {
	key, id := [event.SecretBytes]byte{1}, []byte("0193a7c2-7b1e-7c3a-9d2f-000000000001")
	if n := testing.AllocsPerRun(100, func() { event.OpenSecret(&key, "registry", id) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// BenchmarkOpenSecret measures one secret.
func BenchmarkOpenSecret(b *testing.B) {
	key, id := [event.SecretBytes]byte{1}, []byte("0193a7c2-7b1e-7c3a-9d2f-000000000001")
	for b.Loop() {
		event.OpenSecret(&key, "registry", id)
	}
}
