package intake_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
)

// scanned is an operator's type of event with addresses among its own values.
const scanned = `types:
  - tag: project:scan:add
    description: "{project} was scanned[ from {peer}]"
    subjects: [project]
    fields:
      peer: {type: ip, personal: true, visible: [admin]}
      note: {type: string}
    changes:
      origin: {type: ip, personal: true, visible: [admin]}
    visibility: [owner]
    retention: permanent
    severity: info
`

// anonymised opens a desk that knows scanned and cuts addresses.
func anonymised(t *testing.T, fs disk.FS, a intake.Anonymisation) *bench {
	t.Helper()
	cat, err := catalogue.LoadWith(fstest.MapFS{"scan.yaml": {Data: []byte(scanned)}})
	if err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, fs, nil, func(c *intake.Config) { c.Catalogue, c.Anonymise = cat, a })
}

// TestAddressesAreCut checks what is left of an address in the record. What is
// left too much cannot be taken back: it is committed to.
func TestAddressesAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		usual := intake.Anonymisation{V4: 24, V6: 48}
		for _, tt := range []struct {
			name    string
			by      intake.Anonymisation
			address string
			want    string
		}{
			{"kept", intake.Anonymisation{}, "203.0.113.9", "203.0.113.9"},
			{"IPv4", usual, "203.0.113.9", "203.0.113.0"},
			{"IPv4 as IPv6", usual, "::ffff:203.0.113.9", "203.0.113.0"},
			{"IPv6", usual, "2001:db8:1:2:3:4:5:6", "2001:db8:1::"},
			{"IPv4 in IPv6 (6to4)", usual, "2002:cb00:7109::1", "2002:cb00:7100::"},
			{"IPv4 in IPv6 that is kept", intake.Anonymisation{V4: 16}, "2002:cb00:7109::1", "2002:cb00::"},
			{"IPv4 only", intake.Anonymisation{V4: 8}, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"},
			{"IPv6 only", intake.Anonymisation{V6: 32}, "203.0.113.9", "203.0.113.9"},
			{"not at a byte", intake.Anonymisation{V4: 31}, "203.0.113.9", "203.0.113.8"},
			{"all bits", intake.Anonymisation{V4: 32, V6: 128}, "203.0.113.9", "203.0.113.9"},
		} {
			b := anonymised(t, new(disk.Mem), tt.by)
			data := `{"id":"1","tag":"project:scan:add","time":"2026-03-31T00:21:00Z","actor":{"type":"service"},` +
				`"context":{"ip":"ADDR"},"metadata":{"peer":"ADDR","note":"ADDR"},"changes":[{"field":"origin","old":"","new":"ADDR"}]}`
			data = strings.ReplaceAll(data, "ADDR", tt.address)
			b.accept(t, []byte(data), 0, false)
			r := b.records(t)[0]
			f := r.Open()
			if ip, _ := f.Get("context.ip"); ip.Text() != tt.want {
				t.Errorf("%s: context.ip = %s, want %s", tt.name, ip.Text(), tt.want)
			}
			written := tt.want
			if tt.by == (intake.Anonymisation{}) {
				written = tt.address // as it was sent
			}
			for name, want := range map[string]string{"metadata.peer": written, "changes.0.new": written, "changes.0.old": "", "metadata.note": tt.address} {
				if got := f.Text(name); got != want {
					t.Errorf("%s: %s = %s, want %s", tt.name, name, got, want)
				}
			}
			if err := r.Verify(); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			b.accept(t, []byte(data), 0, true)
			b.end(t)
		}
	})
}

// TestNoAddressIsRefused checks that text which is to be cut as an address and
// is none is refused, instead of being kept whole.
func TestNoAddressIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := anonymised(t, new(disk.Mem), intake.Anonymisation{V4: 24})
		for _, text := range []string{"203.0.113.9:443", "fe80::1%eth0", "at home"} {
			_, err := b.Accept(t.Context(), from, []byte(`{"id":"1","tag":"project:scan:add","time":"2026-03-31T00:21:00Z",`+
				`"actor":{"type":"service"},"metadata":{"peer":"`+text+`"}}`))
			if invalid, ok := errors.AsType[*event.InvalidError](err); !ok || invalid.Path != "metadata.peer" {
				t.Errorf("Accept of %q = %v, want an InvalidError about metadata.peer", text, err)
			}
		}
		b.end(t)
	})
}

// TestCutShorterIsTheSame checks that a source which repeats an event across the
// restart that made addresses shorter gets its answer, and no conflict.
func TestCutShorterIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := new(disk.Mem)
		data := published("1", "alice")
		b := anonymised(t, fs, intake.Anonymisation{})
		b.accept(t, data, 0, false)
		for _, bits := range []int{24, 16} {
			b.end(t)
			b = anonymised(t, fs, intake.Anonymisation{V4: bits})
			b.accept(t, data, 0, true)
		}
		elsewhere := strings.Replace(string(data), "203.0.113.9", "198.51.100.9", 1)
		_, err := b.Accept(t.Context(), from, []byte(elsewhere))
		if _, ok := errors.AsType[*intake.ConflictError](err); !ok {
			t.Errorf("Accept with another network = %v, want a conflict", err)
		}
		b.end(t)
	})
}
