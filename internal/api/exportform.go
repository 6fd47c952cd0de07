package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/stream"
)

// A fileSink writes an export as a file.
type fileSink struct {
	x      *exporting
	writer *export.Writer
}

func newFileSink(x *exporting) (*fileSink, error) {
	order := export.Newest
	if x.request.Oldest {
		order = export.Oldest
	}
	f := &fileSink{x: x}
	var err error
	if x.goesOn && x.format == string(export.CSV) {
		f.writer, err = export.NewWriter(&headless{out: x.out}, export.CSV, order)
	} else {
		f.writer, err = export.NewWriter(x.out, export.Format(x.format), order)
	}
	return f, err
}

func (f *fileSink) row(_ context.Context, r *export.Row) error { return f.writer.Write(r) }

func (f *fileSink) page(*store.Cursor) error { return nil }

// sum implements [sink]. It ends the file, and so leaves nothing to close.
func (f *fileSink) sum() (string, error) {
	if err := f.writer.Close(); err != nil {
		return "", err
	}
	if f.x.goesOn {
		return "", nil // it is of a part of a file
	}
	return f.writer.File("").SHA256, nil
}

func (f *fileSink) close(context.Context) error { return nil }

// A headless writer leaves out the first line: the file that is gone on with has
// one.
type headless struct {
	out  *stream.Pieces
	done bool
}

func (h *headless) Write(b []byte) (int, error) {
	n := len(b)
	if !h.done {
		_, after, ok := bytes.Cut(b, []byte{'\n'})
		if !ok {
			return n, nil
		}
		h.done, b = true, after
	}
	_, err := h.out.Write(b)
	return n, err
}

// A lines is the form for programs: rows, and after each page where to go on. The
// last line says that it is that.
type lines struct {
	x   *exporting
	buf []byte
}

// A rowLine is one event. What it does not say of it is in the record or the
// receipt.
type rowLine struct {
	Seq      int64  `json:"seq"`
	Severity string `json:"severity"`
	Text     string `json:"text"`
	Record   []byte `json:"record,omitempty"`
	Receipt  string `json:"receipt,omitempty"`
}

func (l *lines) line(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if l.buf = append(append(l.buf, data...), '\n'); len(l.buf) < exportPiece {
		return nil
	}
	return l.write()
}

func (l *lines) write() error {
	_, err := l.x.out.Write(l.buf)
	l.buf = l.buf[:0]
	return err
}

func (l *lines) page(next *store.Cursor) error {
	if next == nil {
		return nil
	}
	if err := l.line(map[string]string{"cursor": next.String()}); err != nil {
		return err
	}
	if err := l.write(); err != nil {
		return err
	}
	return l.x.out.Flush()
}

func (l *lines) sum() (string, error) { return "", nil }

// An exportEnd is the last line.
type exportEnd struct {
	Rows       int64       `json:"rows"`
	Behind     journal.Seq `json:"behind"` // events that were there at the beginning and could not be searched
	Origin     string      `json:"origin"`
	Checkpoint string      `json:"checkpoint"` // the signed note; it covers all rows
}

// end writes the last line.
func (l *lines) end(checkpoint []byte) error {
	x := l.x
	end := exportEnd{x.rows, max(0, x.asked-x.taken), x.api.Tree.Keys().Origin(), string(checkpoint)}
	if err := l.line(map[string]exportEnd{"end": end}); err != nil {
		return err
	}
	return l.write()
}

// A recordLines has each event as a record without its secrets.
type recordLines struct{ lines }

func (l *recordLines) row(_ context.Context, r *export.Row) error {
	bare := *r.Record
	bare.Secrets = event.Secrets{}
	for i := range bare.Fields {
		if f := &bare.Fields[i]; f.Explicit {
			f.Explicit = false
		}
	}
	return l.line(rowLine{Seq: r.Seq, Severity: r.Severity, Text: r.Text, Record: bare.AppendBody(nil)})
}

func (l *recordLines) close(ctx context.Context) error {
	signed, err := l.x.checkpoint(ctx, l.x.taken)
	if err != nil {
		return err
	}
	return l.end(signed.Message)
}

// A receiptLines has each event as its receipt. All receipts are under one
// checkpoint; events that came after it was signed are left out.
type receiptLines struct{ lines }

var errReceipts = fmt.Errorf("more than %d receipts", export.MaxBundleEvents)

func (l *receiptLines) row(ctx context.Context, r *export.Row) error {
	a := l.x.api
	switch {
	case r.Seq >= l.x.signed.N:
		l.x.rows--
		return nil
	case l.x.rows > export.MaxBundleEvents: // they came after the count
		return errReceipts
	}
	p, err := a.Tree.ProveAt(journal.Seq(r.Seq), l.x.signed)
	if err != nil {
		return err
	}
	text, err := a.Room.Receipt(ctx, l.x.reader, journal.Seq(r.Seq), p)
	if errors.Is(err, reading.ErrNone) || errors.Is(err, reading.ErrExpired) {
		l.x.rows-- // it was dropped meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	return l.line(rowLine{Seq: r.Seq, Severity: r.Severity, Text: r.Text, Receipt: string(text)})
}

func (l *receiptLines) close(context.Context) error { return l.end(l.x.signed.Message) }
