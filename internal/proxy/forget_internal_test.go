package proxy

import (
	"bytes"
	"context"
	"testing"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/registry"
)

// A user who is erased is in the proxy's memory and file no more, and others are.
// If this fails the next event of the credential says again whose it was.
func TestForget(t *testing.T) {
	fs := new(disk.Mem)
	who, err := openIdentities(fs)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- who.keep(ctx) }()
	for fp, user := range map[string]string{"a": "erin", "b": "frank", "c": "erin"} {
		who.learn(fp, registry.Identity{User: user})
	}
	if err := who.forgetUser(ctx, "erin"); err != nil {
		t.Fatal(err)
	}
	data, err := disk.ReadFile(fs, identitiesFile)
	if err != nil || bytes.Contains(data, []byte("erin")) || !bytes.Contains(data, []byte("frank")) {
		t.Errorf("the file is %s, %v", data, err)
	}
	if _, ok := who.find("a"); ok {
		t.Error("a credential of the user is known")
	}
	if id, ok := who.find("b"); !ok || id.User != "frank" {
		t.Errorf("the other's credential is %+v, %v", id, ok)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
