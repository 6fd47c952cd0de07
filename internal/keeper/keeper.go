// Package keeper applies to the store what [retain] decides: how long events are
// kept, what is held, and who is erased. It joins the policies, the holds and the
// ledger of erasures with the records, and has everything that changes there
// recorded in the log itself.
//
// # Promises
//
//   - What somebody changes here, and what goes, is an event, in the name of who
//     did it.
//   - What is under a hold stays, whatever policies and erasures say.
//   - When an erasure is done, nothing in the data directory says any more what it
//     took, but for what is held; every field that stays is as it was proved.
//   - What an erasure takes is in the ledger before it is taken. An erasure under
//     way goes on after a restart.
//   - What was erased stays so when older records are put in place of the newer
//     ones: see [Keeper.Replay].
//   - Who deletes an account wipes no tracks: the account is held before the
//     record of its deletion counts as seen.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/retain"
	"github.com/custody-log/custody/internal/store"
)

// How often Run looks for work that nobody told it of.
const (
	restInterval  = time.Minute
	purgeInterval = time.Hour
)

// A Config is what a keeper is opened with. All fields must be set.
type Config struct {
	Dir       disk.FS // its own directory
	Retention retain.Config
	Catalogue *catalogue.Catalogue
	Derive    *query.Derive
	Log       *slog.Logger
}

// Parts are what a keeper works with. All must be set, except Forget.
type Parts struct {
	Journal *journal.Journal
	Store   *store.Store
	Desk    *intake.Desk

	// Forget makes what else remembers people forget one. Nil: nothing does.
	Forget func(ctx context.Context, p retain.Person) error
}

// A Keeper keeps records for as long as they are to be kept. It is a [view.View].
// Its methods may be called concurrently, except Apply, which has one caller.
type Keeper struct {
	cfg   Config
	state *retain.State
	parts Parts

	holding     atomic.Pointer[holding]
	holdChanges atomic.Int64

	wake    chan struct{} // holds a token if Run has to look
	working sync.Mutex    // held by whoever erases
	purging sync.Mutex    // held by whoever purges, until that is recorded

	recalled bool // recall has nothing to do any more; Run alone uses it

	watching struct {
		sync.Mutex // taken alone

		cursor, saved journal.Seq
	}
}

// Open reads what is kept in c.Dir. Call [Keeper.Connect] before anything but
// what the store asks for: [Keeper.Limit], [Keeper.Held].
func Open(c Config) (*Keeper, error) {
	parse := func(text string, now time.Time) (retain.Matcher, error) {
		q, err := query.Parse(text, now)
		if err != nil {
			return nil, err
		}
		return matcher{q, c.Derive}, nil
	}
	state, err := retain.Open(c.Dir, c.Retention, parse)
	if err != nil {
		return nil, err
	}
	k := &Keeper{cfg: c, state: state, wake: make(chan struct{}, 1)}
	k.watching.cursor, err = readCursor(c.Dir)
	k.watching.saved = k.watching.cursor
	return k, err
}

// Connect tells the keeper what it works with. It is called once.
func (k *Keeper) Connect(p Parts) {
	k.parts = p
	if k.watching.cursor > p.Journal.Size() { // of newer records than these
		k.watching.cursor, k.watching.saved = 0, 0
	}
}

// A matcher is the query of a hold.
type matcher struct {
	query  *query.Query
	derive *query.Derive
}

// Match implements [retain.Matcher].
func (m matcher) Match(fields event.Fields) bool { return m.query.Match(fields, m.derive) }

// Run purges, ends holds and works on erasures until ctx ends. What fails is
// tried again.
func (k *Keeper) Run(ctx context.Context) error {
	rest := time.NewTicker(restInterval)
	defer rest.Stop()
	var purged time.Time
	for {
		if time.Since(purged) >= purgeInterval {
			purged = time.Now()
			if _, err := k.Purge(ctx, theLog()); err != nil {
				k.complain(ctx, "purge", err)
			}
			if err := k.sweep(); err != nil {
				k.complain(ctx, "removal of ended holds", err)
			}
		}
		if err := k.work(ctx); err != nil {
			k.complain(ctx, "erasure", err)
		}
		if err := k.saveCursor(); err != nil {
			k.complain(ctx, "writing of the cursor", err)
		}
		select {
		case <-k.wake:
		case <-rest.C:
		case <-ctx.Done():
			return k.saveCursor()
		}
	}
}

func (k *Keeper) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		k.cfg.Log.WarnContext(ctx, "the keeper's work failed, will retry", "work", what, "err", err)
	}
}

// poke has Run look for work now.
func (k *Keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default: // Run will look anyway
	}
}

// A By says who does something here, and how.
type By struct {
	Actor      event.Party
	Credential event.Credential
	Context    event.Context
}

// theLog is who acts when nobody does.
func theLog() By { return By{Actor: event.Party{Type: "system", ID: intake.OwnSource}} }

// name returns what By is called in files.
func (b *By) name() string {
	if b.Actor.Name != "" {
		return b.Actor.Name
	}
	return b.Actor.ID
}

// record has the log record an event about itself, by whom. An event of the same
// ID that is there already is the same act.
func (k *Keeper) record(ctx context.Context, by By, e *event.Event) error {
	e.Actor, e.Credential, e.Context = by.Actor, by.Credential, by.Context
	_, err := k.parts.Desk.Record(ctx, intake.OwnSource, e)
	if _, again := errors.AsType[*intake.ConflictError](err); again {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keeper: record %s: %w", e.Tag, err)
	}
	return nil
}

// classOf returns the class of retention of an event.
func (k *Keeper) classOf(r *event.Record) string {
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Name == "tag" {
			return k.cfg.Catalogue.RetentionOf(string(f.Value))
		}
	}
	return ""
}
