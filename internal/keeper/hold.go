package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/retain"
)

// A holding says whether anything is held, so that searches need not ask each
// hold.
type holding struct {
	any    bool
	until  time.Time // when to look again; zero: after the next change
	change int64     // of the holds, of which it is
}

// Held returns what reports whether an event is held, or nil while nothing is. It
// is for the store, and costs next to nothing.
func (k *Keeper) Held() func(fields event.Fields) bool {
	now := time.Now()
	h := k.holding.Load()
	if h == nil || h.change != k.holdChanges.Load() || !h.until.IsZero() && !now.Before(h.until) {
		h = k.look(now)
		k.holding.Store(h)
	}
	if !h.any {
		return nil
	}
	return func(fields event.Fields) bool { return len(k.state.Holds.Holding(fields, now)) > 0 }
}

// look finds out whether anything is held.
func (k *Keeper) look(now time.Time) *holding {
	h := &holding{change: k.holdChanges.Load()}
	for _, hold := range k.state.Holds.List() {
		if !hold.Active(now) {
			continue
		}
		if hold.Until.IsZero() {
			h.any, h.until = true, time.Time{}
			break
		}
		if !h.any || hold.Until.After(h.until) {
			h.any, h.until = true, hold.Until
		}
	}
	return h
}

// Holds returns all holds, the newest first.
func (k *Keeper) Holds() []retain.Hold { return k.state.Holds.List() }

// Hold returns one hold.
func (k *Keeper) Hold(id string) (retain.Hold, error) {
	h, ok := k.state.Holds.Get(id)
	if !ok {
		return h, retain.ErrUnknown
	}
	return h, nil
}

// PlaceHold places a hold. What it is on stays from when PlaceHold returns, but
// for what is in a segment that a purge or an erasure is rewriting just then.
func (k *Keeper) PlaceHold(ctx context.Context, by By, h retain.Hold) (retain.Hold, error) {
	h.ID, h.Created, h.By = "", time.Time{}, by.name()
	placed, err := k.addHold(h)
	if err != nil {
		return placed, err
	}
	if err := k.record(ctx, by, retain.HoldPlaced(placed)); err != nil {
		_, undo := k.state.Holds.Lift(placed.ID, placed.By, "it could not be recorded", time.Now())
		k.holdChanges.Add(1)
		return retain.Hold{}, errors.Join(err, undo)
	}
	return placed, nil
}

// addHold places a hold and lets it count.
func (k *Keeper) addHold(h retain.Hold) (retain.Hold, error) {
	placed, _, err := k.state.Holds.Add(h, time.Now())
	k.holdChanges.Add(1)
	return placed, err
}

// LiftHold ends a hold. It returns [retain.ErrUnknown] if there is none, and an
// [*retain.InvalidError] if it ended before.
func (k *Keeper) LiftHold(ctx context.Context, by By, id, reason string) (retain.Hold, error) {
	// Recorded once it is lifted: the event says what is so.
	lifted, err := k.state.Holds.Lift(id, by.name(), reason, time.Now())
	if err != nil {
		return lifted, err
	}
	k.holdChanges.Add(1)
	if err := k.record(context.WithoutCancel(ctx), by, retain.HoldReleased(lifted)); err != nil {
		return lifted, err
	}
	k.poke() // an erasure may have waited for it
	return lifted, nil
}

// sweep removes the holds that ended long enough ago.
func (k *Keeper) sweep() error {
	over, err := k.state.Holds.Sweep(time.Now())
	if len(over) > 0 {
		k.holdChanges.Add(1)
	}
	return err
}
