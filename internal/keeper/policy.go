package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/custody-log/custody/internal/retain"
	"github.com/custody-log/custody/internal/store"
)

// Limit returns before which times events of a class, and what is personal in
// them, are past their time; the zero time is never. It is for the store.
func (k *Keeper) Limit(class string, now time.Time) (events, personal time.Time) {
	return k.state.Policies.Cut(class, now)
}

// Policies returns the policies of all classes.
func (k *Keeper) Policies() []retain.Policy { return k.state.Policies.List() }

// SetPolicy changes the policy of a class. It returns [retain.ErrUnknown] if
// there is no such class, and an [*retain.InvalidError] for a time that may not
// be.
func (k *Keeper) SetPolicy(ctx context.Context, by By, class string, o retain.Override) (before, after retain.Policy, err error) {
	if before, after, err = k.state.Policies.Set(class, o); err != nil {
		return before, after, err
	}
	return before, after, k.changed(ctx, by, before, after)
}

// ResetPolicy takes back what was changed while running.
func (k *Keeper) ResetPolicy(ctx context.Context, by By, class string) (before, after retain.Policy, err error) {
	if before, after, err = k.state.Policies.Reset(class); err != nil {
		return before, after, err
	}
	return before, after, k.changed(ctx, by, before, after)
}

// changed records that a policy was changed. A change that nobody could read of
// is undone.
func (k *Keeper) changed(ctx context.Context, by By, before, after retain.Policy) error {
	err := k.record(ctx, by, retain.PolicyChanged(before, after))
	if err == nil {
		return nil
	}
	if before.From != retain.FromChange {
		_, _, undo := k.state.Policies.Reset(before.Class)
		return errors.Join(err, undo)
	}
	_, _, undo := k.state.Policies.Set(before.Class, retain.Override{Keep: &before.Keep, KeepPersonal: &before.KeepPersonal})
	return errors.Join(err, undo)
}

// Purge drops what is past its time and not held. If there was anything, that is
// an event.
func (k *Keeper) Purge(ctx context.Context, by By) (store.Purged, error) {
	k.purging.Lock()
	defer k.purging.Unlock()
	purged, err := k.parts.Store.Purge(ctx)
	if err != nil {
		err = fmt.Errorf("keeper: purge: %w", err)
	}
	if purged.Events == 0 && purged.Personal == 0 {
		return purged, err
	}
	e := retain.Purged(retain.Purge{Count: purged.Events + purged.Personal})
	for _, member := range []string{"class", "from_seq", "to_seq"} { // it is of all classes
		delete(e.Metadata, member)
	}
	return purged, errors.Join(err, k.record(context.WithoutCancel(ctx), by, e))
}
