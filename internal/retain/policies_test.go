package retain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/retain"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func openPolicies(t rapid.TB, fs disk.FS, o retain.Overrides) *retain.Policies {
	t.Helper()
	p, err := retain.OpenPolicies(fs, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPoliciesAreTheCatalogues checks that without any wish the catalogue's
// times count: docs/catalogue.md says what they are.
func TestPoliciesAreTheCatalogues(t *testing.T) {
	p := openPolicies(t, new(disk.Mem), nil)
	for _, r := range catalogue.Retentions() {
		got, ok := p.Of(r.Name)
		if keep := time.Duration(got.Keep) * 24 * time.Hour; !ok || keep != r.Keep || got.From != retain.FromDefault {
			t.Errorf("%s: kept %v (%s), want %v", r.Name, got.Keep, got.From, r.Keep)
		}
		if keep := time.Duration(got.KeepPersonal) * 24 * time.Hour; keep != r.KeepPersonal {
			t.Errorf("%s: personal fields kept %v, want %v", r.Name, got.KeepPersonal, r.KeepPersonal)
		}
	}
}

// TestCut checks the two times that the store drops by.
func TestCut(t *testing.T) {
	p := openPolicies(t, new(disk.Mem), retain.Overrides{
		"user-security": {Keep: new(retain.Days(100)), KeepPersonal: new(retain.Days(10))},
		"bulk":          {KeepPersonal: new(retain.Days(4000))}, // longer than the event: nothing to keep it in
	})
	ago := func(n retain.Days) time.Time { return n.Before(noon) }
	for _, tt := range []struct {
		class          string
		drop, personal time.Time
	}{
		{"permanent", time.Time{}, time.Time{}},
		{"permanent-skeleton", time.Time{}, ago(400)},
		{"user-security", ago(100), ago(10)},
		{"user-auth", ago(90), ago(90)},
		{"bulk", ago(30), ago(30)},
		{"of another version", time.Time{}, time.Time{}},
	} {
		drop, personal := p.Cut(tt.class, noon)
		if !drop.Equal(tt.drop) || !personal.Equal(tt.personal) {
			t.Errorf("Cut(%q) = %v, %v, want %v, %v", tt.class, drop, personal, tt.drop, tt.personal)
		}
	}
}

// TestPolicyChanges checks what wins: what was changed while running, then the
// file, then the catalogue; and that a change is there after a restart.
func TestPolicyChanges(t *testing.T) {
	fs := new(disk.Mem)
	configured := retain.Overrides{"bulk": {Keep: new(retain.Days(60))}}
	before, after, err := openPolicies(t, fs, configured).Set("bulk", retain.Override{KeepPersonal: new(retain.Days(7))})
	if err != nil || before.String() != "keep 60d" || after.String() != "keep 60d, personal fields 7d" {
		t.Fatalf("Set = %v, %v, %v", before, after, err)
	}
	p := openPolicies(t, fs, configured)
	if got, _ := p.Of("bulk"); got != after || got.From != retain.FromChange {
		t.Errorf("after a restart the policy is %+v, want %+v", got, after)
	}
	if _, after, err = p.Reset("bulk"); err != nil || after.Keep != 60 || after.From != retain.FromConfig {
		t.Errorf("Reset = %+v, %v, want what is configured", after, err)
	}
	if got, _ := openPolicies(t, fs, nil).Of("bulk"); got.Keep != 30 || got.From != retain.FromDefault {
		t.Errorf("without a wish the policy is %+v, want the catalogue's", got)
	}
}

// TestTracksStay checks that nobody can let go soon of what administrators and
// the log itself do: not through the API, and not by writing the file.
func TestTracksStay(t *testing.T) {
	fs := new(disk.Mem)
	p := openPolicies(t, fs, nil)
	for _, class := range []string{"admin", "meta"} {
		for _, o := range []retain.Override{{Keep: new(retain.Days(29))}, {KeepPersonal: new(retain.Days(1))}, {Keep: new(retain.Days(-1))}} {
			var invalid *retain.InvalidError
			if _, _, err := p.Set(class, o); !errors.As(err, &invalid) {
				t.Errorf("Set(%q) to less than %v = %v, want it refused", class, retain.MinTraces, err)
			}
		}
		if _, _, err := p.Set(class, retain.Override{Keep: new(retain.MinTraces)}); err != nil {
			t.Errorf("Set(%q) to %v = %v", class, retain.MinTraces, err)
		}
	}
	if _, _, err := p.Set("other", retain.Override{}); !errors.Is(err, retain.ErrUnknown) {
		t.Errorf("Set of a class there is none of = %v, want %v", err, retain.ErrUnknown)
	}
	for want, text := range map[string]string{
		"less than":         `{"version":1,"classes":{"meta":{"keep":"1d","keep_personal":"forever"}}}`,
		"has version 2":     `{"version":2,"classes":{}}`,
		"unknown field":     `{"version":1,"klasses":{}}`,
		"there is no class": `{"version":1,"classes":{"other":{"keep":"1d","keep_personal":"1d"}}}`,
		"something follows": `{"version":1,"classes":{}} {}`,
		"is not a time":     `{"version":1,"classes":{"bulk":{"keep":"0","keep_personal":"1d"}}}`,
		"bytes, at most":    strings.Repeat(" ", 2<<20),
		"EOF":               `{"version":1`,
	} {
		if err := disk.ReplaceFile(fs, "policies.json", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := retain.OpenPolicies(fs, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OpenPolicies of %.60q = %v, want %q", text, err, want)
		}
	}
}

// TestPolicySurvivesPowerCuts checks that a power cut in the middle of a change
// leaves the old policy or the new one, and after it the new one.
func TestPolicySurvivesPowerCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		p, err := retain.OpenPolicies(w.disk, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.cutAfter(rapid.IntRange(0, 20).Draw(t, "operations"))
		was, want := retain.Days(30), retain.Days(30)
		for d := retain.Days(31); d < 34; d++ {
			want = d
			if _, _, err := p.Set("bulk", retain.Override{Keep: &d}); err != nil {
				break
			}
			was = d
		}
		p, err = retain.OpenPolicies(w.restart(), nil)
		if err != nil {
			t.Fatalf("after a power cut: %v", err)
		}
		if got, _ := p.Of("bulk"); got.Keep != was && got.Keep != want {
			t.Errorf("after a power cut the policy is %v, want %v or %v", got, was, want)
		}
	})
}
