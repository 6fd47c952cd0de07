package keeper_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/keeper"
	"github.com/custody-log/custody/internal/retain"
)

// open opens a keeper on fs that is connected to nothing.
func open(t *testing.T, fs disk.FS) (*keeper.Keeper, error) {
	t.Helper()
	types, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	return keeper.Open(keeper.Config{Dir: fs, Catalogue: types, Log: slog.New(slog.DiscardHandler)})
}

// A hold that is on disk counts from the start, and one that has ended does not.
// If this fails a restart is the moment in which evidence goes.
func TestHeldFromTheStart(t *testing.T) {
	fs := new(disk.Mem)
	holds, err := fs.Sub("holds")
	if err != nil {
		t.Fatal(err)
	}
	state, err := retain.OpenHolds(holds, nil, 90)
	if err != nil {
		t.Fatal(err)
	}
	k, err := open(t, fs)
	if err != nil {
		t.Fatal(err)
	}
	if k.Held() != nil {
		t.Error("without a hold something is held")
	}
	account := retain.Person{Type: "user", ID: "u-1"}
	placed, _, err := state.Add(retain.Hold{Account: &account, By: "the test"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if k, err = open(t, fs); err != nil {
		t.Fatal(err)
	}
	held := k.Held()
	fields := func(id string) event.Fields {
		return event.Fields{event.StringField("actor.id", id), event.StringField("actor.type", "user")}
	}
	if held == nil || !held(fields("u-1")) || held(fields("u-2")) {
		t.Error("after a restart the hold does not hold what it is on, and nothing else")
	}
	if _, err := state.Lift(placed.ID, "the test", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if k, err = open(t, fs); err != nil || k.Held() != nil {
		t.Errorf("after the hold was lifted something is held, %v", err)
	}
}
