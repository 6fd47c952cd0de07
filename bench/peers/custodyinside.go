package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// A custodyInside is what the program has written, read by the program's own
// packages in this process once it was stopped. Its answers are events with all
// their fields, as the program has them before it decides who may see what of
// them and makes JSON of that.
//
// It answers questions and does nothing else.
type custodyInside struct {
	onlyAsked

	data *custodyDirectory
}

func openCustodyInside(ctx context.Context, e *env) (peer, error) {
	data, err := openCustodyDirectory(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("what custody has written: %w", err)
	}
	return &custodyInside{data: data}, nil
}

// processes returns none: it is this one.
func (c *custodyInside) processes() []int { return nil }

func (c *custodyInside) ask(ctx context.Context, q *question) (func() (*answer, error), error) {
	parsed, err := query.Parse(q.custodyQuery(), time.Now())
	if err != nil {
		return nil, err
	}
	var a *answer
	if q.Topic == tagCount {
		a, err = c.count(ctx, parsed)
	} else {
		a, err = c.search(ctx, parsed, q.Topic.limit())
	}
	return func() (*answer, error) { return a, nil }, err
}

// search returns the newest events, or all if limit is 0, page by page as the
// program gives them.
func (c *custodyInside) search(ctx context.Context, q *query.Query, limit int) (*answer, error) {
	a := new(answer)
	request := store.Request{Query: q, Limit: cmp.Or(limit, store.MaxFound)}
	for {
		page, err := c.data.store.Search(ctx, request)
		if err != nil {
			return nil, err
		}
		for i := range page.Found {
			if err := a.readFound(&page.Found[i]); err != nil {
				return nil, err
			}
		}
		left := limit - len(a.numbers) - a.own
		if page.Next == nil || limit > 0 && left <= 0 {
			return a, nil
		}
		request.After = page.Next // more is left, or its time was up
		if limit > 0 {
			request.Limit = left
		}
	}
}

// readFound adds an event.
func (a *answer) readFound(f *store.Found) error {
	var id []byte
	for i := range f.Record.Fields {
		switch field := &f.Record.Fields[i]; field.Name {
		case "id":
			id = field.Value
		case "tag":
			if strings.HasPrefix(string(field.Value), ownTags) {
				a.own++
				return nil
			}
		}
	}
	number, err := numberOf(id)
	if err == nil {
		a.numbers = append(a.numbers, number)
	}
	return err
}

// countBudget is how long one count may take.
const countBudget = time.Minute

// count answers a question of topic tagCount by counting once: the program does
// both counts in one request, too, if it is asked for both.
func (c *custodyInside) count(ctx context.Context, q *query.Query) (*answer, error) {
	n, err := c.data.store.Count(ctx, store.CountRequest{
		Query: q, Fields: []string{"project"}, Values: topProjects, Interval: store.Day, Budget: countBudget,
	})
	if err != nil {
		return nil, err
	}
	if !n.Complete {
		return nil, fmt.Errorf("not all was counted in %v", countBudget)
	}
	a := &answer{count: n.Events, days: make(map[string]int64, len(n.Buckets))}
	for _, b := range n.Buckets {
		a.days[b.Time.Format(time.DateOnly)] = b.Count
	}
	for _, p := range n.Fields["project"] {
		a.top = append(a.top, facet{p.Value, p.Count})
	}
	return a, nil
}

func (c *custodyInside) close() error { return c.data.close() }

// onlyAsked is what a peer cannot do that reads the files of another.
type onlyAsked struct{}

var errNotOurs = fmt.Errorf("%w: it reads the files of another peer", errUnable)

func (onlyAsked) write(context.Context, *batch) error { return errNotOurs }

func (onlyAsked) settle(context.Context) error { return errNotOurs }

func (onlyAsked) size(context.Context) (int64, error) { return 0, errNotOurs }

func (onlyAsked) export(context.Context, func([]byte) error) error { return errNotOurs }

func (onlyAsked) purge(context.Context, *class, time.Time) (int, error) { return 0, errNotOurs }

func (onlyAsked) erase(context.Context, string) (int, error) { return 0, errNotOurs }

func (onlyAsked) reclaim(context.Context) error { return errNotOurs }
