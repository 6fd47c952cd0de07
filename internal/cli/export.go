package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/internal/query"
)

// asBundle is the format of evidence, beside those of [export.Format].
const asBundle = "bundle"

func exportCommand() *command {
	return &command{
		name:  "export",
		usage: "-o NAME [flags] [QUERY ...] | -resume NAME",
		short: "take events out, as files or as evidence",
		long: `Writes all events that match into files, oldest first, and beside them a manifest with their
hashes. What was interrupted is gone on with.

  custody export -o events.ndjson project:demo-pkg         lines of JSON
  custody export -o events.csv after:2026-01-01            a table
  custody export -o events.parquet                         the whole log, for a data warehouse
  custody export -resume events.parquet                    after an interruption
  custody export -o - actor:alice | jq .tag                to another program, without a manifest
  custody export -o case.zip -key log.key token:tok-13     evidence: each event with its receipt

custody verify takes a manifest (events.csv.manifest.json), or a bundle of evidence. The query
language is in docs/query.md, the forms are in docs/export.md. That you exported is an event.`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			out := flags.String("o", "", "write to `NAME`, or to files that begin so; - is standard output")
			format := flags.String("format", "", "`form`: ndjson, csv, parquet or bundle (default: by the end of NAME, else ndjson)")
			newest := flags.Bool("newest", false, "newest first")
			key := flags.String("key", "", "for a bundle: the log's public `key`, or a file that holds it or a C2SP policy; default CUSTODY_LOG_KEY")
			resume := flags.String("resume", "", "go on with the export called `NAME`, which was interrupted")
			rest, err := parse(flags, args, 0, -1)
			if err != nil {
				return err
			}
			j := &exportJob{env: env, order: export.Oldest, key: *key}
			if *newest {
				j.order = export.Newest
			}
			if j.client, err = client(env); err != nil {
				return err
			}
			if *resume != "" {
				if *out != "" || *format != "" || *newest || len(rest) > 0 {
					return &wrongError{errors.New("-resume takes nothing else: what was asked for is kept with the export")}
				}
				return j.resume(ctx, *resume)
			}
			if *out == "" {
				return withHint(&wrongError{errors.New("-o says where to write, and is missing")}, "-o events.ndjson, or -o - for standard output")
			}
			if j.query, err = lastingQuery(strings.Join(quoteWords(rest), " "), time.Now()); err != nil {
				return err
			}
			return j.start(ctx, *out, *format)
		},
	}
}

// lastingQuery returns text with times that mean the same tomorrow: a manifest
// that says "after:-7d" says nothing, and an export that is resumed goes on with
// the same question.
func lastingQuery(text string, now time.Time) (string, error) {
	q, err := query.Parse(text, now)
	if e, ok := errors.AsType[*query.Error](err); ok {
		err := error(&wrongError{fmt.Errorf("the query cannot be understood: column %d: expected %s", e.Column, e.Expected)})
		if e.Hint != "" {
			err = withHint(err, e.Hint)
		}
		return "", err
	}
	if err != nil || q.Root == nil {
		return "", err
	}
	pinTimes(q.Root)
	return q.String(), nil
}

// pinTimes gives times ago the time that they are.
func pinTimes(n query.Node) {
	switch n := n.(type) {
	case query.And:
		for _, x := range n {
			pinTimes(x)
		}
	case query.Or:
		for _, x := range n {
			pinTimes(x)
		}
	case *query.Not:
		pinTimes(n.Node)
	case *query.Term:
		if (n.Kind == query.After || n.Kind == query.Before) && strings.HasPrefix(n.Value, "-") {
			n.Value = time.UnixMicro(n.Micros).UTC().Format(time.RFC3339Nano)
		}
	}
}

// An exportJob is one export.
type exportJob struct {
	env    *Env
	client *custody.Client
	query  string
	order  export.Order
	key    string // of the log, for a bundle
	origin string

	dir  disk.FS
	path string // the directory as it was named
	name string

	bar   *bar
	total int64 // events there will be; 0 if not known
}

// suffixes are the ends of names that say which form is meant.
var suffixes = map[string]string{
	".ndjson": string(export.NDJSON), ".jsonl": string(export.NDJSON), ".csv": string(export.CSV), ".parquet": string(export.Parquet), ".zip": asBundle,
}

// start begins an export to the file or files called out.
func (j *exportJob) start(ctx context.Context, out, format string) error {
	ending := filepath.Ext(out)
	meant := suffixes[ending]
	if format == "" {
		if format = meant; format == "" {
			format = string(export.NDJSON)
		}
	}
	if format != asBundle {
		if _, err := export.ParseFormat(format); err != nil {
			return &wrongError{fmt.Errorf("format %q: want ndjson, csv, parquet or bundle", format)}
		}
	}
	if meant == format && out != "-" {
		out = strings.TrimSuffix(out, ending)
	}
	if err := j.begin(ctx, out); err != nil {
		return err
	}
	switch {
	case out == "-" && format == asBundle:
		return &wrongError{errors.New("a bundle is a file: -o NAME")}
	case out == "-":
		return j.toStdout(ctx, export.Format(format))
	case format == asBundle:
		return j.bundle(ctx)
	}
	set, err := export.Create(j.dir, j.name, export.Format(format), export.Meta{
		Origin: j.origin, Version: j.env.Version, Query: j.query, Order: j.order,
	})
	if err != nil {
		return err
	}
	return j.fill(ctx, set, export.Format(format))
}

// begin asks for what must be known first, and opens the directory.
func (j *exportJob) begin(ctx context.Context, out string) error {
	info, err := j.client.Info(ctx)
	if err != nil {
		return err
	}
	j.origin = info.Origin
	if isTerminal(j.env.Stderr) {
		if n, err := j.client.Count(ctx, custody.Query{Text: j.query}); err == nil && n.Complete {
			j.bar, j.total = newBar(j.env.Stderr, "exporting"), n.Events
		}
	}
	if out == "-" {
		return nil
	}
	j.path, j.name = filepath.Split(out)
	if j.path == "" {
		j.path = "."
	}
	j.dir, err = disk.Dir(j.path)
	return err
}

// resume goes on with an export that was interrupted.
func (j *exportJob) resume(ctx context.Context, out string) error {
	if _, ok := suffixes[filepath.Ext(out)]; ok {
		out = strings.TrimSuffix(out, filepath.Ext(out))
	}
	format, err := interrupted(out)
	if err != nil {
		return err
	}
	path, name := filepath.Split(out)
	if path == "" {
		path = "."
	}
	dir, err := disk.Dir(path)
	if err != nil {
		return err
	}
	set, err := export.Resume(dir, name, format)
	if err != nil {
		return err
	}
	m := set.Meta()
	j.query, j.order = m.Query, m.Order
	if err := j.begin(ctx, out); err != nil {
		return errors.Join(err, set.Close())
	}
	if j.origin != m.Origin {
		err := &wrongError{fmt.Errorf("%s is of the log %s, and this is %s", out, printable(m.Origin), printable(j.origin))}
		return errors.Join(err, set.Close())
	}
	return j.fill(ctx, set, format)
}

// interrupted returns the format of the export called out that is not finished.
func interrupted(out string) (export.Format, error) {
	for _, f := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
		if exists(out + "." + string(f) + ".progress") {
			return f, nil
		}
	}
	return "", withHint(fmt.Errorf("%s: %w: there is no export of that name to go on with", out, fs.ErrNotExist), "custody export -o "+out+" begins one")
}

// fill writes all rows into a set that is open, and finishes it.
func (j *exportJob) fill(ctx context.Context, set *export.Set, format export.Format) error {
	s := &exportStream{job: j, format: "records", cursor: set.Cursor(), rows: set.Rows(), row: set.Write, mark: set.Mark}
	end, err := s.run(ctx)
	if err != nil {
		err = errors.Join(err, set.Close())
		return withHint(err, "custody export -resume "+filepath.Join(j.path, j.name)+" goes on")
	}
	m, err := set.Finish(end.forManifest())
	if err != nil {
		return errors.Join(err, set.Close())
	}
	first := m.Files[0].Name
	if len(m.Files) > 1 {
		first = fmt.Sprintf("%d files from %s", len(m.Files), first)
	}
	fmt.Fprintf(j.env.Stderr, "%s in %s, %d bytes; their hashes are in %s.%s%s\n", eventsOf(m.Rows), first, m.Bytes, j.name, format, export.ManifestSuffix)
	return nil
}

func eventsOf(n int64) string {
	if n == 1 {
		return "1 event"
	}
	return fmt.Sprintf("%d events", n)
}

// toStdout writes to another program. There is nothing to resume, and no manifest.
func (j *exportJob) toStdout(ctx context.Context, format export.Format) error {
	if format == export.Parquet && isTerminal(j.env.Stdout) {
		return &wrongError{errors.New("-format parquet is not for terminals: -o NAME")}
	}
	w, err := export.NewWriter(j.env.Stdout, format, j.order)
	if err != nil {
		return err
	}
	flush := func(string) error { return nil }
	if format != export.Parquet {
		flush = func(string) error { return w.Flush() }
	}
	s := &exportStream{job: j, format: "records", row: w.Write, mark: flush}
	if _, err := s.run(ctx); err != nil {
		return err
	}
	return w.Close()
}

// policyText returns the log's public key or policy as it was given.
func policyText(env *Env, given string) ([]byte, error) {
	if given == "" {
		given = env.Getenv("CUSTODY_LOG_KEY")
	}
	if !exists(given) {
		return []byte(strings.TrimSpace(given) + "\n"), nil
	}
	return readFile(given)
}
