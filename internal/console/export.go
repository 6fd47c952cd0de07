package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/stream"
)

// maxExports is how many exports run at once; each may take 64 MiB.
const maxExports = 2

// export answers with all events of a view, as the visitor sees them, as a file.
// What is masked stays so. That it was made is an event.
//
// A file that breaks off in the middle has no end that HTTP would take for one.
func (c *Console) export(w http.ResponseWriter, v *visit) error {
	if v.Session == nil {
		return &state{Status: http.StatusForbidden, Title: "Sign in to export", Signin: true, Sentence: "Exports are for those who are signed in."}
	}
	switch v.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site": // it would be on record as theirs
		return &state{
			Status: http.StatusForbidden, Title: "Not done", Sentence: "The request came from a page of another site.",
			Hint: "Export from the page of the search.",
		}
	}
	s, err := viewOf(v.URL.Query())
	if err != nil {
		return err
	}
	format, err := export.ParseFormat(v.URL.Query().Get("format"))
	if err != nil {
		return badRequest("The format is ndjson, csv or parquet.")
	}
	request := s.request()
	request.After, request.Limit = nil, store.MaxFound
	// Nothing was written yet: one who may not search at all is told so.
	first := request
	first.Limit = 1
	if _, err := c.Room.Search(v.Context(), v.Reader, first); err != nil {
		return err
	}
	select {
	case c.exports <- struct{}{}:
		defer func() { <-c.exports }()
	default:
		return errBusy
	}
	x := &exporting{console: c, view: s, format: format, out: stream.NewPieces(w)}
	order := export.Newest
	if s.Oldest {
		order = export.Oldest
	}
	if x.writer, err = export.NewWriter(x.out, format, order); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", media[format])
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "export."+string(format)))
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close") // the deadlines of this answer are not for another
	if v.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := stream.Until(v.Context(), c.Stopping)
	defer cancel()
	if err := x.run(ctx, v, request); err != nil {
		x.out.BreakOff()
		if ctx.Err() == nil && !x.out.Gone {
			c.Log.ErrorContext(ctx, "an export broke off", "rows", x.rows, "err", err)
		}
	}
	return nil // the answer has begun
}

// media are the types of the files.
var media = map[export.Format]string{
	export.NDJSON: "application/jsonl", export.CSV: "text/csv; charset=utf-8", export.Parquet: "application/vnd.apache.parquet",
}

// An exporting is one file on its way to a browser.
type exporting struct {
	console *Console
	view    *view
	format  export.Format
	writer  *export.Writer
	out     *stream.Pieces
	rows    int64
}

// run writes the file, and records that it was made, whole or in part.
func (x *exporting) run(ctx context.Context, v *visit, request reading.Request) error {
	err := x.console.Room.Walk(ctx, v.Reader, request, func(a *reading.Answer) error {
		for _, e := range a.Events {
			x.rows++
			if err := x.writer.Write(e.Row()); err != nil {
				return fmt.Errorf("event %d: %w", e.Seq, err)
			}
		}
		return nil
	})
	if err == nil {
		err = x.writer.Close()
	}
	return errors.Join(err, x.record(ctx, v, err))
}

// record records that somebody took events out; cut says why not all.
func (x *exporting) record(ctx context.Context, v *visit, cut error) error {
	credential, from := x.console.whence(v)
	e := &event.Event{
		Tag: "audit:export", Outcome: event.Success, Actor: v.Reader.By, Credential: credential, Context: from,
		Metadata: map[string]any{"format": string(x.format), "rows": x.rows},
	}
	if q := x.view.whole.String(); q != "" {
		e.Metadata["query"] = q
	}
	if cut != nil {
		e.Outcome, e.Reason = event.Failure, "it was cut short"
	} else {
		e.Metadata["sha256"] = x.writer.File("").SHA256
	}
	_, err := x.console.Room.Desk.Record(context.WithoutCancel(ctx), intake.OwnSource, e)
	return err
}
