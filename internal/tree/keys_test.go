package tree_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

func mustKeys(t *testing.T) *tree.Keys {
	t.Helper()
	keys, err := tree.GenerateKeys("log.example/a")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestKeysRoundTrip checks that keys are what they were after being kept. It
// tries many, since the text of a key is random.
func TestKeysRoundTrip(t *testing.T) {
	for range 50 {
		dir := new(disk.Mem)
		if _, err := tree.LoadKeys(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("LoadKeys of nothing = %v, want ErrNotExist", err)
		}
		keys, err := mustKeys(t).Add()
		if err != nil {
			t.Fatal(err)
		}
		if keys, err = keys.Retire(keys.Verifiers()[1]); err != nil {
			t.Fatal(err)
		}
		if err := keys.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := tree.LoadKeys(dir.Crash(func(int) int { return 0 }))
		if err != nil {
			t.Fatalf("LoadKeys: %v", err)
		}
		if string(again.Format()) != string(keys.Format()) || !slices.Equal(again.Retired(), keys.Retired()) {
			t.Errorf("kept %s, got %s", keys.Format(), again.Format())
		}
		if strings.Count(string(again.Format()), "PRIVATE") != 1 {
			t.Error("the secret of a retired key is still in the file")
		}
	}
}

// TestBadKeys checks that a key file that cannot be used is refused, without
// its secrets in the error.
func TestBadKeys(t *testing.T) {
	good := string(mustKeys(t).Format())
	other, err := tree.GenerateKeys("other.example")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct{ name, text, want string }{
		{"empty", "", "no signing key"},
		{"not a key", good + "nonsense\n", "line 5"},
		{"damaged", strings.Replace(good, "log.example", "lag.example", 1), "line 4"},
		{"of two logs", good + string(other.Format()), "two logs"},
		{"twice", good + good, "same public key"},
		{"retired of another log", good + "retired " + other.Verifiers()[0], "two logs"},
		{"retired is damaged", good + "retired log.example/a+00000000+AAAA", "hash is"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := tree.ParseKeys([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("ParseKeys = %v, want an error with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE+KEY") {
				t.Error("the error repeats a secret")
			}
		})
	}
}

// TestOrigins checks which names a log may have.
func TestOrigins(t *testing.T) {
	for _, good := range []string{"audit.example.com", "audit.example.com/log", "a", "ö.example"} {
		if err := tree.CheckOrigin(good); err != nil {
			t.Errorf("CheckOrigin(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "a b", "a+b", "a\nb", "a\u00a0b", "\xff", "https://a.example", "a.example/", strings.Repeat("a", 256),
	} {
		if err := tree.CheckOrigin(bad); err == nil {
			t.Errorf("CheckOrigin(%q) accepted it", bad)
		}
	}
}

// TestRotation changes the key of a running log. Whoever knows the old key or
// the new one can check every checkpoint of the time between.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := makeRecords(30)
		dir := new(disk.Mem)
		old := mustKeys(t)
		config := testConfig(dir, list)
		config.Keys = old
		tr, err := tree.Open(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		run(t, tr)
		feed(t, tr, list[:10], 10)
		settle()
		accepts(t, tr, old.Verifiers()[0], true)

		both, err := old.Add()
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.SetKeys(both); err != nil {
			t.Fatal(err)
		}
		settle() // no record came, and still
		accepts(t, tr, both.Verifiers()[0], true)
		accepts(t, tr, both.Verifiers()[1], true)

		alone, err := both.Retire(old.Verifiers()[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.SetKeys(alone); err != nil {
			t.Fatal(err)
		}
		settle()
		accepts(t, tr, alone.Verifiers()[0], true)
		accepts(t, tr, old.Verifiers()[0], false)
		if got := tr.Latest().N; got != 10 {
			t.Errorf("size %d, want 10", got)
		}
		if err := tr.SetKeys(testKeys()); err == nil {
			t.Error("SetKeys accepted the keys of another log")
		}
	})
}

// TestRestartAfterRetirement checks that a checkpoint signed by a key that was
// retired before the next start is still known to be the log's own.
func TestRestartAfterRetirement(t *testing.T) {
	list := makeRecords(10)
	dir := new(disk.Mem)
	old := mustKeys(t)
	config := testConfig(dir, list)
	config.Keys = old
	tr, err := tree.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	feed(t, tr, list, 10)
	sign(t, tr)
	both, err := old.Add()
	if err != nil {
		t.Fatal(err)
	}
	if config.Keys, err = both.Retire(old.Verifiers()[0]); err != nil {
		t.Fatal(err)
	}
	if tr, err = tree.Open(t.Context(), config); err != nil {
		t.Fatalf("Open: %v", err)
	}
	if tr.Latest().N != 10 {
		t.Error("the checkpoint was forgotten")
	}
	if _, err := config.Keys.Retire(config.Keys.Verifiers()[0]); err == nil {
		t.Error("the only key could be retired")
	}
}

// settle lets the tree sign what there is to sign.
func settle() {
	time.Sleep(2 * tree.SignInterval)
	synctest.Wait()
}

func accepts(t *testing.T, tr *tree.Tree, vkey string, want bool) {
	t.Helper()
	policy, err := proof.KeyPolicy(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.OpenCheckpoint(tr.Latest().Message, policy); (err == nil) != want {
		t.Errorf("who knows only %s gets %v, want accepted %v", vkey, err, want)
	}
}
