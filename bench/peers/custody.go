package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A custody is the program on a data directory of its own.
type custody struct {
	server *custodyServer
}

func openCustody(ctx context.Context, e *env) (peer, error) {
	s, err := startCustody(ctx, e)
	if err != nil {
		return nil, err
	}
	c := &custody{s}
	// An index that is made anew at a start knows nothing at first. A peer is open
	// once it can answer.
	if err := c.ready(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return c, nil
}

func (c *custody) processes() []int { return []int{c.server.command.Process.Pid} }

// write submits a batch as it is in the file. The answer that says only how many
// events were kept is asked for.
func (c *custody) write(ctx context.Context, b *batch) error {
	answer, err := c.server.do(ctx, &request{
		method: http.MethodPost, path: "/v1/events", media: "application/x-ndjson", body: b.lines, prefer: "return=minimal",
	})
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

const settleLimit = 10 * time.Minute

// settle waits until all events are in a signed checkpoint, can be found, and
// are sealed.
func (c *custody) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := c.ready(ctx); err != nil {
		return err
	}
	if err := c.lift(ctx); err != nil {
		return err
	}
	return c.server.post(ctx, "/v1/log/seal", nil)
}

// lift lifts the holds that deleted accounts bring about: what is held would not
// be purged, and the other peers hold nothing.
func (c *custody) lift(ctx context.Context) error {
	var answer struct {
		Holds []struct{ ID string }
	}
	if err := c.server.get(ctx, "/v1/holds", nil, &answer); err != nil {
		return err
	}
	for _, hold := range answer.Holds {
		if err := c.server.send(ctx, http.MethodPost, "/v1/holds/"+hold.ID+"/lift", []byte(`{"reason":"measured"}`), nil); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until all events are in a signed checkpoint, and can be found.
func (c *custody) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		var log, checkpoint struct {
			Size int64 `json:"size"`
		}
		var found struct {
			Behind int64 `json:"behind"`
		}
		noCheckpoint := c.server.get(ctx, "/v1/checkpoint", nil, &checkpoint)
		if errors.Is(noCheckpoint, errUnable) {
			noCheckpoint, checkpoint.Size = nil, -1 // there is none yet
		}
		err := errors.Join(
			noCheckpoint,
			c.server.get(ctx, "/v1/log", nil, &log),
			c.server.get(ctx, "/v1/events", url.Values{"limit": {"1"}}, &found))
		if err != nil || checkpoint.Size >= log.Size && found.Behind == 0 {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// size counts everything: the tree and its proofs, keys and logs too.
func (c *custody) size(context.Context) (int64, error) { return sizeOf(c.server.data) }

// custodyTerms is how a question's value stands in a query.
var custodyTerms = map[topic]string{
	projectNewest: "project:%s", userNewest: "user:%s", ofAddress: "ip:%s", ofToken: "token:%s", tagCount: "tag:%s", wordNewest: "%s", partNewest: "*%s*",
}

// custodyQuery returns the question in Custody's words.
func (q *question) custodyQuery() string {
	text := fmt.Sprintf(custodyTerms[q.Topic], q.Value)
	if q.Outcome != "" {
		text += " outcome:" + q.Outcome
	}
	if q.After != 0 {
		text += " after:" + q.after().Format(time.RFC3339)
	}
	return text
}

func (c *custody) ask(ctx context.Context, q *question) (func() (*answer, error), error) {
	if q.Topic == tagCount {
		return c.count(ctx, q)
	}
	values := url.Values{"q": {q.custodyQuery()}}
	limit := q.Topic.limit()
	values.Set("limit", strconv.Itoa(cmp.Or(limit, mostOnPage)))
	body, err := c.server.body(ctx, "/v1/events", values)
	if err == nil && (limit == 0 || bytes.Contains(body, endedEarly)) {
		return c.all(ctx, values, body, limit)
	}
	return func() (*answer, error) {
		a := new(answer)
		_, err := a.readPage(body)
		return a, err
	}, err
}

// endedEarly is in an answer for which more was to be read than one may. The
// rest has to be asked for.
var endedEarly = []byte(`"complete":false`)

// A page is the part of an answer that matters here.
type page struct {
	Events []struct {
		ID  string `json:"id"`
		Tag string `json:"tag"`
	} `json:"events"`
	Next     string `json:"next"`
	Complete *bool  `json:"complete"`
}

// readPage adds the events of an answer.
func (a *answer) readPage(body []byte) (*page, error) {
	p := new(page)
	if err := json.Unmarshal(body, p); err != nil {
		return nil, err
	}
	for _, e := range p.Events {
		if strings.HasPrefix(e.Tag, ownTags) {
			a.own++
			continue
		}
		number, err := numberOf([]byte(e.ID))
		if err != nil {
			return nil, err
		}
		a.numbers = append(a.numbers, number)
	}
	return p, nil
}

// ownTags is how the tags of events begin that Custody records about itself.
const ownTags = "audit:"

// mostOnPage is how many events one answer can have.
const mostOnPage = 1000

// all follows an answer, of which body is the first page, to its end or to limit
// events; 0 means all.
func (c *custody) all(ctx context.Context, values url.Values, body []byte, limit int) (func() (*answer, error), error) {
	a := new(answer)
	for {
		// The cursor in a page is needed to ask for the next one: this is timed.
		p, err := a.readPage(body)
		if err != nil {
			return nil, err
		}
		found := len(a.numbers) + a.own
		if limit > 0 && found > limit {
			a.numbers = a.numbers[:max(0, limit-a.own)]
		}
		if p.Next == "" || limit > 0 && found >= limit {
			return func() (*answer, error) { return a, nil }, nil
		}
		values.Set("cursor", p.Next)
		if body, err = c.server.body(ctx, "/v1/events", values); err != nil {
			return nil, err
		}
	}
}

// count answers a question of topic tagCount with two requests.
func (c *custody) count(ctx context.Context, q *question) (func() (*answer, error), error) {
	text := q.custodyQuery()
	facets, err := c.server.body(ctx, "/v1/facets", url.Values{"q": {text}, "field": {"project"}, "limit": {strconv.Itoa(topProjects)}})
	if err != nil {
		return nil, err
	}
	histogram, err := c.server.body(ctx, "/v1/histogram", url.Values{"q": {text}, "interval": {"day"}})
	return func() (*answer, error) { return readCount(facets, histogram) }, err
}

func readCount(facets, histogram []byte) (*answer, error) {
	var f struct {
		Count  int64
		Facets struct {
			Project []struct {
				Value string
				Count int64
			}
		}
	}
	var h struct {
		Count   int64
		Buckets []struct {
			Time  time.Time
			Count int64
		}
	}
	if err := errors.Join(json.Unmarshal(facets, &f), json.Unmarshal(histogram, &h)); err != nil {
		return nil, err
	}
	if f.Count != h.Count {
		return nil, fmt.Errorf("%d events by project, %d by day", f.Count, h.Count)
	}
	a := &answer{count: h.Count, days: make(map[string]int64)}
	for _, b := range h.Buckets {
		if b.Count > 0 {
			a.days[b.Time.UTC().Format(time.DateOnly)] = b.Count
		}
	}
	for _, p := range f.Facets.Project {
		a.top = append(a.top, facet{p.Value, p.Count})
	}
	return a, nil
}

func (c *custody) export(ctx context.Context, each func(line []byte) error) error {
	answer, err := c.server.do(ctx, &request{method: http.MethodGet, path: "/v1/export?q=&format=ndjson"})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	w := &lineWriter{each: func(line []byte) error {
		if !bytes.Contains(line, idName) {
			return nil // what says how the export ended
		}
		return each(line)
	}}
	buffer := make([]byte, fileBuffer)
	_, err = io.CopyBuffer(w, answer.Body, buffer)
	return err
}

// purge shortens how long the class is kept, and asks the log to do what it does
// by itself every hour. It says how many events it removed, of all classes, so
// that is not compared.
func (c *custody) purge(ctx context.Context, class *class, cut time.Time) (int, error) {
	keep := fmt.Sprintf("%dd", int(time.Since(cut).Hours()/24))
	body, err := json.Marshal(map[string]any{"keep": keep})
	if err != nil {
		return 0, err
	}
	if err := c.server.send(ctx, http.MethodPut, "/v1/retention/"+class.Name, body, nil); err != nil {
		return 0, err
	}
	return -1, c.server.post(ctx, "/v1/retention/purge", []byte("{}"))
}

// erase waits until the erasure is done: the answer to the request is only that
// it was taken.
func (c *custody) erase(ctx context.Context, user string) (int, error) {
	body, err := json.Marshal(map[string]any{"subject": map[string]string{"type": "user", "id": user}, "reason": "measured"})
	if err != nil {
		return 0, err
	}
	var erasure struct{ ID, State string }
	if err := c.server.send(ctx, http.MethodPost, "/v1/erasures", body, &erasure); err != nil {
		return 0, err
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for erasure.State != "done" {
		select {
		case <-look.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		if err := c.server.get(ctx, "/v1/erasures/"+erasure.ID, nil, &erasure); err != nil {
			return 0, err
		}
	}
	return -1, nil
}

// reclaim has nothing to do: a purge writes anew what it leaves.
func (c *custody) reclaim(context.Context) error { return errUnable }

func (c *custody) close() error { return c.server.stop() }
