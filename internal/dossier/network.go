package dossier

import (
	"context"
	"net/netip"
	"time"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// NetworkValues is how many accounts, projects and others of each a network's page
// shows.
const NetworkValues = 100

// A Network is what the page of an address, or a range of them, shows.
type Network struct {
	Prefix netip.Prefix
	Query  string

	Events   int64
	Complete bool // false: the time was up, and what is counted is of a part

	Accounts  []store.ValueCount // that did something from there, by name, most frequent first, as those below
	SignedIn  []store.ValueCount // accounts that were signed in to from there
	Tried     []store.ValueCount // accounts that somebody tried to sign in to, and could not
	Projects  []store.ValueCount
	Tokens    []store.ValueCount
	Tags      []store.ValueCount
	Outcomes  []store.ValueCount
	Clients   []store.ValueCount
	Addresses []store.ValueCount // within the range
	Countries []store.ValueCount

	First, Last time.Time
	Interval    store.Interval
	Buckets     []store.Bucket // oldest first, without empty ones

	SignIns SignIns // from there, newest first: which accounts were signed in to, or tried
	History Page
}

// NewNetwork returns the dossier of a range of addresses. It returns [ErrMasked]
// for staff for whom addresses are masked, and [ErrNotAllowed] for everybody else.
func NewNetwork(ctx context.Context, room Room, r *reader.Reader, prefix netip.Prefix, o Options) (*Network, error) {
	switch {
	case !r.IsStaff():
		return nil, ErrNotAllowed
	case !r.Clear:
		return nil, ErrMasked
	case !prefix.IsValid():
		return nil, ErrNone
	}
	a := newAsker(room, r, &o)
	n := &Network{Prefix: prefix.Masked()}
	term, err := about(query.IP, n.Prefix.String())
	if err != nil {
		return nil, err
	}
	n.Query = all(term).String()
	history, err := a.history(ctx, all(term), &o)
	if err != nil {
		return nil, err
	}
	if len(history.Events) == 0 && o.After == "" {
		return nil, none(&history.Extent)
	}
	n.History = *history
	signIns, err := a.search(ctx, all(term, tagged(signInTags...)), SignInEvents, nil)
	if err != nil {
		return nil, err
	}
	n.SignIns.Extent = signIns.Extent
	for _, e := range signIns.Events {
		n.SignIns.List = append(n.SignIns.List, a.signInAs(e))
	}
	if err := a.span(ctx, n, term); err != nil {
		return nil, err
	}
	return n, a.tallies(ctx, n, term)
}

// span finds out when something came from a network first and last.
func (a *asker) span(ctx context.Context, n *Network, term query.Node) error {
	first, err := a.oldest(ctx, all(term), 1)
	if err != nil {
		return err
	}
	last, err := a.search(ctx, all(term), 1, nil)
	if err != nil {
		return err
	}
	n.First, n.Last = timeOf(first), timeOf(last.Events)
	return nil
}

// timeOf returns the time of the first of events; zero if there is none.
func timeOf(events []*reading.Shown) time.Time {
	if len(events) == 0 {
		return time.Time{}
	}
	return events[0].Time()
}

// tallies counts what came from a network.
func (a *asker) tallies(ctx context.Context, n *Network, term query.Node) error {
	c, err := a.room.Count(ctx, a.reader, store.CountRequest{
		Query: all(term), Values: NetworkValues, Interval: store.Automatic, Budget: min(2*countBudget, a.budget()),
		Fields: []string{"actor", "project", "token", "tag", "outcome", "client", "ip", "country"},
	})
	if err != nil {
		return plain(err)
	}
	n.Events, n.Complete, n.Interval, n.Buckets = c.Events, c.Complete, c.Interval, c.Buckets
	n.Accounts, n.Projects, n.Tokens = c.Fields["actor"], c.Fields["project"], c.Fields["token"]
	n.Tags, n.Outcomes, n.Clients = c.Fields["tag"], c.Fields["outcome"], c.Fields["client"]
	n.Addresses, n.Countries = c.Fields["ip"], c.Fields["country"]
	// Whose account it is, is the subject: who fails to sign in is nobody yet.
	for _, part := range []struct {
		into *[]store.ValueCount
		tags []string
	}{
		{&n.SignedIn, []string{"user:login:success", "user:login:new_device", "user:mfa:recovery_code_use"}},
		{&n.Tried, []string{"user:login:failure", "user:login:blocked", "user:mfa:failure"}},
	} {
		t, err := a.count(ctx, all(term, tagged(part.tags...)), NetworkValues, "user")
		if err != nil {
			return err
		}
		*part.into, n.Complete = t.values["user"], n.Complete && t.complete
	}
	return nil
}
