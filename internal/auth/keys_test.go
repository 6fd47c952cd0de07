package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
)

func open(t *testing.T, fs disk.FS) *auth.Keys {
	t.Helper()
	k, err := auth.Open(fs)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func create(t *testing.T, k *auth.Keys, scopes ...string) (auth.Key, string) {
	t.Helper()
	key, text, err := k.Create("deploy", "npm-proxy", scopes)
	if err != nil {
		t.Fatal(err)
	}
	return key, text
}

// TestKeys follows a key through its life, over a power cut.
func TestKeys(t *testing.T) {
	fs := new(disk.Mem)
	k := open(t, fs)
	if !k.Empty() {
		t.Error("a new log has keys")
	}
	key, text := create(t, k, auth.Submit)
	_, admin := create(t, k, auth.Admin)

	fs = fs.Crash(func(int) int { return 0 })
	k = open(t, fs)
	got, err := k.Check(text)
	if err != nil || got.ID != key.ID || got.Source != "npm-proxy" {
		t.Fatalf("Check after a power cut = %v, %v, want key %s", got, err, key.ID)
	}
	if !got.May(auth.Submit) || got.May(auth.Read) || got.May(auth.Admin) {
		t.Errorf("a key for submitting may %v", got.Scopes)
	}
	if a, err := k.Check(admin); err != nil || !a.May(auth.Submit) || !a.May(auth.Read) {
		t.Errorf("an administrator's key = %v, %v, want one that may do all", a, err)
	}
	for name, wrong := range map[string]string{
		"nothing":        "",
		"no prefix":      strings.TrimPrefix(text, "cst_"),
		"other secret":   text[:len(text)-1] + "!",
		"other ID":       "cst_000000000000" + text[strings.LastIndex(text, "_"):],
		"without secret": "cst_" + key.ID + "_",
	} {
		if _, err := k.Check(wrong); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("Check with %s = %v, want ErrUnknown", name, err)
		}
	}
	if !k.Has(key.ID) || k.Has("") || k.Has("000000000000") {
		t.Error("Has tells apart no keys that are there")
	}
	if _, err := k.Revoke(key.ID); err != nil {
		t.Fatal(err)
	}
	if k.Has(key.ID) {
		t.Error("Has knows a key that was revoked")
	}
	k = open(t, fs.Crash(func(int) int { return 0 }))
	if _, err := k.Check(text); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("Check of a revoked key = %v, want ErrUnknown", err)
	}
}

// TestSecretIsNotStored checks that the file does not open the door.
func TestSecretIsNotStored(t *testing.T) {
	fs := new(disk.Mem)
	_, text := create(t, open(t, fs), auth.Admin)
	data, err := disk.ReadFile(fs, "keys.json")
	if err != nil {
		t.Fatal(err)
	}
	secret := text[strings.LastIndex(text, "_")+1:]
	if strings.Contains(string(data), secret) {
		t.Error("keys.json holds the secret")
	}
}

func TestLastAdministratorStays(t *testing.T) {
	k := open(t, new(disk.Mem))
	key, text := create(t, k, auth.Admin)
	create(t, k, auth.Read)
	if _, err := k.Revoke(key.ID); !errors.Is(err, auth.ErrLast) {
		t.Errorf("Revoke of the last administrator = %v, want ErrLast", err)
	}
	if _, err := k.Check(text); err != nil {
		t.Errorf("the last administrator is locked out: %v", err)
	}
}

// TestFailedSaveChangesNothing checks that a key which is not durable does not
// work, and that one whose removal is not durable still does.
func TestFailedSaveChangesNothing(t *testing.T) {
	fs := new(disk.Mem)
	k := open(t, fs)
	create(t, k, auth.Admin)
	key, text := create(t, k, auth.Read)
	fs.Fail = func(string, string) error { return disk.ErrInjected }
	if _, _, err := k.Create("x", "y", []string{auth.Read}); !errors.Is(err, disk.ErrInjected) {
		t.Errorf("Create on a failing disk = %v", err)
	}
	if _, err := k.Revoke(key.ID); !errors.Is(err, disk.ErrInjected) {
		t.Errorf("Revoke on a failing disk = %v", err)
	}
	fs.Fail = nil
	if n := len(k.List()); n != 2 {
		t.Errorf("%d keys, want 2", n)
	}
	if _, err := k.Check(text); err != nil {
		t.Errorf("Check = %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	k := open(t, new(disk.Mem))
	for _, tt := range []struct {
		name, key, source string
		scopes            []string
		want              string
	}{
		{"no name", "", "s", []string{"read"}, "name"},
		{"no source", "n", "", []string{"read"}, "source"},
		{"odd source", "n", "A b", []string{"read"}, "lower-case"},
		{"no scope", "n", "s", nil, "at least one scope"},
		{"unknown scope", "n", "s", []string{"write"}, `no scope "write"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := k.Create(tt.key, tt.source, tt.scopes)
			if _, ok := errors.AsType[*auth.NameError](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Create = %v, want a NameError with %q", err, tt.want)
			}
		})
	}
}

// sum returns the hash of a secret as it stands in the file.
func sum(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}
