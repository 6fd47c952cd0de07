package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/stream"
	"github.com/custody-log/custody/internal/tree"
)

// Limits of exports.
const (
	maxExports   = 4               // at once; each may take 64 MiB
	exportPiece  = 256 << 10       // 256 KiB, written to a reader at a time
	maxExportLag = 5 * time.Second // that is waited for the store to catch up with the log
)

var exportLimit = fmt.Sprintf("%d exports at once", maxExports)

// The formats of an export that are for programs: lines with cursors between
// them. See docs/api.md.
const (
	asRecords  = "records"
	asReceipts = "receipts"
)

// An exporting is one export on its way to a reader.
type exporting struct {
	api       *API
	reader    *reader.Reader
	request   reading.Request
	format    string
	goesOn    bool // another answer came before this one
	witnessed bool // receipts must be

	out    *stream.Pieces
	sink   sink
	rows   int64
	asked  journal.Seq // records there were when the answer began
	taken  journal.Seq // records the store had taken in
	signed tree.Signed
}

// A sink writes an export in one form.
type sink interface {
	// row writes one event.
	row(ctx context.Context, r *export.Row) error

	// page hands on all rows so far. Next is where to go on; nil after the last.
	page(next *store.Cursor) error

	// sum returns the SHA-256 of all that is written, or "".
	sum() (string, error)

	// close writes what says that it was all. The export is recorded by then.
	close(ctx context.Context) error
}

// export answers with all events that match. That it was made is an event.
//
// An answer that breaks off in the middle has no end that HTTP would take for
// one, so nobody takes it for whole.
func (a *API) export(w http.ResponseWriter, r *http.Request, key *auth.Key, who *reader.Reader) error {
	x, err := a.newExporting(r, key, who)
	if err != nil {
		return err
	}
	select {
	case a.exports <- struct{}{}:
		defer func() { <-a.exports }()
	default:
		return busy(exportLimit)
	}
	ctx, cancel := stream.Until(r.Context(), a.Stopping)
	defer cancel()
	if err := x.begin(ctx, w); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		return nil
	}
	err = x.run(ctx)
	sum := ""
	if err == nil {
		sum, err = x.sink.sum()
	}
	// Who has got a part of it has got that part.
	rerr := a.recordExport(r, key, x, sum, err)
	if err == nil {
		err = rerr
	}
	if err == nil {
		err = x.sink.close(ctx)
	}
	if err != nil {
		x.out.BreakOff()
		if ctx.Err() == nil && !x.out.Gone {
			a.Log.ErrorContext(ctx, "an export broke off", "rows", x.rows, "err", err)
		}
	}
	return nil // the answer has begun
}

// newExporting reads what r asks for.
func (a *API) newExporting(r *http.Request, key *auth.Key, who *reader.Reader) (*exporting, error) {
	params, err := parameters(r, "q", "after", "before", "order", "format", "cursor", "last", "witnessed", "reason")
	if err != nil {
		return nil, err
	}
	x := &exporting{api: a, reader: who, format: params.Get("format"), request: reading.Request{Oldest: true, Limit: store.MaxFound}}
	switch x.format {
	case "":
		x.format = string(export.NDJSON)
	case string(export.NDJSON), string(export.CSV), string(export.Parquet), asRecords, asReceipts:
	default:
		return nil, badRequest("format must be ndjson, csv, parquet, records or receipts")
	}
	switch params.Get("order") {
	case "", "oldest":
	case "newest":
		x.request.Oldest = false
	default:
		return nil, badRequest("order must be newest or oldest")
	}
	if x.witnessed, err = flag(params.Get("witnessed")); err != nil {
		return nil, badRequest("witnessed must be true or false")
	}
	if x.witnessed && a.Witnessed == nil {
		return nil, noWitnesses()
	}
	if x.request.Query, err = parseQuery(params); err != nil {
		return nil, err
	}
	if err := a.Room.Check(who, x.request.Query); err != nil {
		return nil, err
	}
	if err := x.goOn(r.Context(), params); err != nil {
		return nil, err
	}
	x.reader, err = a.looking(r, key, who, params, reading.Look{Query: x.request.Query})
	return x, err
}

// goOn reads where an earlier answer ended.
func (x *exporting) goOn(ctx context.Context, params url.Values) (err error) {
	switch cursor, last := params.Has("cursor"), params.Has("last"); {
	case !cursor && !last:
		return nil
	case cursor && last:
		return badRequest("cursor and last both say where to go on")
	case x.api.Room.IsNamed(x.reader, x.request.Query):
		return badRequest("an export for a pseudonym cannot be gone on with; ask for less, with after: and before:")
	case cursor:
		x.request.After, err = store.ParseCursor(params.Get("cursor"))
	default:
		x.request.After, err = x.cursorAfter(ctx, params.Get("last"))
	}
	x.goesOn = true
	return err
}

// cursorAfter returns where to go on after the event at a position.
func (x *exporting) cursorAfter(ctx context.Context, text string) (*store.Cursor, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil, badRequest("last must be the position of the last event that came: a whole number from 0")
	}
	e, err := x.api.Room.Event(ctx, x.reader, journal.Seq(n))
	switch {
	case errors.Is(err, reading.ErrNone):
		return nil, badRequest("last is %d, and no such event came", n)
	case err != nil:
		return nil, noEvent(journal.Seq(n), err)
	}
	return store.CursorAfter(e.Time(), e.Seq, x.request.Oldest), nil
}

// begin writes the head of the answer. After an error nothing is written.
func (x *exporting) begin(ctx context.Context, w http.ResponseWriter) (err error) {
	x.asked = x.api.Journal.Size()
	if err := x.api.caughtUp(ctx, x.asked); err != nil {
		return err
	}
	x.out = stream.NewPieces(w)
	media, name := "application/jsonl", "export.ndjson"
	switch x.format {
	case asReceipts:
		if err := x.beginReceipts(ctx); err != nil {
			return err
		}
		x.sink = &receiptLines{lines{x: x}}
	case asRecords:
		x.sink = &recordLines{lines{x: x}}
	case string(export.CSV):
		media, name = "text/csv", "export.csv"
	case string(export.Parquet):
		media, name = "application/vnd.apache.parquet", "export.parquet"
	}
	if x.sink == nil {
		if x.sink, err = newFileSink(x); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	h.Set("Connection", "close") // the deadlines of this answer are not for another
	return nil
}

// beginReceipts waits for the checkpoint that all receipts are to be under, and
// refuses to make more of them than a bundle takes.
func (x *exporting) beginReceipts(ctx context.Context) (err error) {
	if x.signed, err = x.checkpoint(ctx, x.asked); err != nil {
		return err
	}
	count, err := x.api.Room.Count(ctx, x.reader, store.CountRequest{Query: x.request.Query, Budget: maxBudget})
	if err != nil {
		return err
	}
	n := count.Events
	if n > export.MaxBundleEvents {
		return overLimit(fmt.Sprintf("%d receipts", export.MaxBundleEvents), "a narrower query, or several with after: and before:",
			"%d events match", n)
	}
	return nil
}

// caughtUp waits, for a while, until the store has taken in the first n records:
// who was told that an event is recorded will look for it in an export.
func (a *API) caughtUp(ctx context.Context, n journal.Seq) error {
	tick := time.NewTicker(tree.SignInterval)
	defer tick.Stop()
	for began := time.Now(); a.Store.Cursor() < n && time.Since(began) < maxExportLag; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// run writes all rows.
func (x *exporting) run(ctx context.Context) error {
	return x.api.Room.Walk(ctx, x.reader, x.request, func(a *reading.Answer) error {
		x.taken = a.Taken
		for _, e := range a.Events {
			x.rows++
			if err := x.sink.row(ctx, e.Row()); err != nil {
				return fmt.Errorf("event %d: %w", e.Seq, err)
			}
		}
		return x.sink.page(a.Next)
	})
}

// checkpoint returns a checkpoint over the first n records, waiting for it for a
// while.
func (x *exporting) checkpoint(ctx context.Context, n journal.Seq) (tree.Signed, error) {
	a := x.api
	if n > 0 {
		ctx, cancel := context.WithTimeout(ctx, maxReceiptWait)
		defer cancel()
		if err := a.await(ctx, n-1, x.witnessed); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return tree.Signed{}, err
		}
	}
	for _, signed := range []tree.Signed{a.Tree.Checkpoint(), a.Tree.Latest()} {
		if signed.Message != nil && signed.N >= int64(n) && (!x.witnessed || a.Witnessed(signed.Message)) {
			return signed, nil
		}
	}
	return tree.Signed{}, tree.ErrNotYet
}

// recordExport records that somebody took events out, cut says why not all.
func (a *API) recordExport(r *http.Request, key *auth.Key, x *exporting, sum string, cut error) error {
	e := act(r, key, "audit:export", event.Subject{})
	e.Subjects = nil
	if !key.May(auth.Admin) {
		e.Actor.Type = "service"
	}
	e.Metadata = map[string]any{"format": x.format, "rows": x.rows}
	if q := x.request.Query.String(); q != "" {
		e.Metadata["query"] = q
	}
	if sum != "" {
		e.Metadata["sha256"] = sum
	}
	if signed := a.Tree.Latest(); signed.Message != nil {
		e.Metadata["checkpoint"] = fmt.Sprintf("%d %v", signed.N, signed.Hash)
	}
	if cut != nil {
		e.Outcome, e.Reason = event.Failure, "it was cut short"
	}
	_, err := a.Desk.Record(context.WithoutCancel(r.Context()), intake.OwnSource, e)
	if err != nil {
		a.Log.ErrorContext(r.Context(), "an export could not be recorded", "key", key.ID, "rows", x.rows, "err", err)
	}
	return err
}
