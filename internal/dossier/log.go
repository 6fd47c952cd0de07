package dossier

import (
	"context"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/retain"
)

// MaxStated is how many sources, holds, erasures and others of each the page about
// the log shows.
const MaxStated = 1000

// Facts are what is known of the log besides its events.
type Facts struct {
	Origin, Version string
	Started         time.Time

	Size           journal.Seq // events
	CheckpointSize int64       // of them that the newest checkpoint is over
	CheckpointTime time.Time
	Witnesses      []Witness

	Views    []View
	Sources  []intake.SourceState
	Trouble  []string
	Policies []retain.Policy
	Holds    []retain.Hold
	Erasures []retain.Erasure
}

// A Witness is what is known of one that cosigns checkpoints.
type Witness struct {
	Name  string
	Size  int64     // of the latest checkpoint it cosigned
	Time  time.Time // when it did; zero: never
	Error string    // why it did not since, fit for readers
}

// A View is how far a view has come.
type View struct {
	Name   string
	Cursor journal.Seq
	Lag    journal.Seq // records it has not taken in yet
}

// A Stater knows the facts about a log. It is the server.
type Stater interface {
	Facts(ctx context.Context) (Facts, error)
}

// A Log is what the page about the log itself shows.
type Log struct {
	Facts // as far as they are for the reader

	// What of Facts is for staff, and what of it for those who audit.
	Staff, Audit bool

	// Masked says that holds and erasures leave out whom they are about and what
	// people wrote.
	Masked bool

	Findings Acts // what the log noticed about sources and itself
	Looks    Acts // who looked at what
	Access   Acts // who got access to the log, lost it, or was refused
}

// Acts are a list of events, the newest first.
type Acts struct {
	Extent

	List []Act
}

// NewLog returns the dossier of the log.
func NewLog(ctx context.Context, room Room, r *reader.Reader, s Stater, o Options) (*Log, error) {
	facts, err := s.Facts(ctx)
	if err != nil {
		return nil, err
	}
	l := &Log{Facts: facts, Staff: r.IsStaff(), Audit: r.Staff.Has(catalogue.Auditor), Masked: !r.Clear}
	l.limit()
	l.leaveOut()
	if !l.Staff {
		return l, nil
	}
	a := newAsker(room, r, &o)
	for _, part := range []struct {
		into *Acts
		tags []string
	}{
		{&l.Findings, []string{
			"audit:source:*", "audit:ingest:*", "audit:tamper:detect", "audit:retention:*", "audit:hold:*", "audit:erasure:*",
			"audit:redact", "audit:proxy:drop", "audit:proxy:unknown_request", "audit:stream:*", "audit:backup:*", "audit:verify:run",
		}},
		{&l.Looks, []string{"audit:reveal_pii", "audit:search", "audit:export", "audit:view_share"}},
		{&l.Access, []string{"audit:access:*", "audit:api_key:*", "audit:signin:*", "audit:key:rotate"}},
	} {
		page, err := a.search(ctx, all(tagged(part.tags...)), LookEvents, nil)
		if err != nil {
			return nil, err
		}
		*part.into = Acts{page.Extent, a.actsOf(page.Events, LookEvents)}
	}
	return l, nil
}

// limit cuts long lists.
func (l *Log) limit() {
	l.Witnesses, l.Views, l.Sources = cut(l.Witnesses), cut(l.Views), cut(l.Sources)
	l.Trouble, l.Policies, l.Holds, l.Erasures = cut(l.Trouble), cut(l.Policies), cut(l.Holds), cut(l.Erasures)
}

func cut[T any](list []T) []T { return list[:min(len(list), MaxStated):min(len(list), MaxStated)] }

// leaveOut takes out of the facts what is not for the reader. The catalogue says
// the same of the events about these: holds and erasures are for those who audit,
// whom they are about is personal, and the public sees what is signed.
func (l *Log) leaveOut() {
	if !l.Staff {
		l.Views, l.Sources, l.Trouble, l.Policies = nil, nil, nil, nil
	}
	if !l.Audit {
		l.Holds, l.Erasures = nil, nil
	}
	if !l.Masked {
		return
	}
	holds := make([]retain.Hold, len(l.Holds))
	for i, h := range l.Holds {
		h.Query, h.Account, h.Reason, h.LiftReason = "", nil, "", ""
		holds[i] = h
	}
	erasures := make([]retain.Erasure, len(l.Erasures))
	for i, e := range l.Erasures {
		e.Person, e.By, e.Reason = nil, "", ""
		erasures[i] = e
	}
	l.Holds, l.Erasures = holds, erasures
}
