package retain_test

import (
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/retain"
)

// TestOpen checks that all of the state is one directory: it is there again
// after a restart, and a configuration that makes no sense stops the start.
func TestOpen(t *testing.T) {
	fs := new(disk.Mem)
	config := retain.Config{EvidenceHold: new(retain.Days(7))}
	s, err := retain.Open(fs, config, parse)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Policies.Set("bulk", retain.Override{Keep: new(retain.Days(60))}); err != nil {
		t.Error(err)
	}
	hold, ok := s.Holds.EvidenceHold(deleted(t, nil), noon)
	if want := noon.AddDate(0, 0, 7); !ok || !hold.Until.Equal(want) {
		t.Errorf("the evidence hold is until %v, want %v", hold.Until, want)
	}
	add(t, s.Holds, hold)
	request(t, s.Ledger, one)
	if s, err = retain.Open(fs, config, parse); err != nil {
		t.Fatal(err)
	}
	policy, _ := s.Policies.Of("bulk")
	if policy.Keep != 60 || len(s.Holds.List()) != 1 || len(s.Ledger.Pending()) != 1 {
		t.Errorf("after a restart: %v, %d holds, %d erasures pending, want 60d, 1, 1", policy, len(s.Holds.List()), len(s.Ledger.Pending()))
	}
	config.Retention = retain.Overrides{"none": {}}
	if _, err := retain.Open(fs, config, parse); err == nil {
		t.Error("Open with a class there is none of is no error")
	}
}
