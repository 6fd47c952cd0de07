package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/proof"
)

// A bundling is a bundle on its way to its file.
type bundling struct {
	job    *exportJob
	policy *proof.Policy
	text   []byte // of the policy

	out    disk.File
	spool  disk.File
	buffer *bufio.Writer
	writer *export.BundleWriter // nil before its checkpoint is known
}

// bundle makes an evidence bundle. It has its name only when it is whole.
func (j *exportJob) bundle(ctx context.Context) (err error) {
	b := &bundling{job: j}
	if b.policy, err = policy(j.env, j.key); err != nil {
		return err
	}
	if b.text, err = policyText(j.env, j.key); err != nil {
		return err
	}
	name := j.name + ".zip"
	there, err := j.dir.Exists(name)
	if err != nil {
		return err
	}
	if there {
		return fmt.Errorf("%s is there already: remove it or choose another name", name)
	}
	part, spool := name+".partial", name+".spool"
	if b.out, err = openEmpty(j.dir, part); err != nil {
		return err
	}
	if b.spool, err = openEmpty(j.dir, spool); err != nil {
		return errors.Join(err, b.out.Close())
	}
	m, err := b.fill(ctx)
	if err == nil {
		err = b.out.Sync()
	}
	err = errors.Join(err, b.out.Close(), b.spool.Close(), j.dir.Remove(spool))
	if err != nil {
		return errors.Join(err, j.dir.Remove(part))
	}
	if err := j.dir.Rename(part, name); err != nil {
		return err
	}
	fmt.Fprintf(j.env.Stderr, "%s with their receipts in %s; custody verify -key log.key %s checks it\n", eventsOf(m.Rows), name, name)
	return j.dir.Sync()
}

// openEmpty opens a file for what was perhaps begun before.
func openEmpty(dir disk.FS, name string) (disk.File, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// bundleBuffer is what is written to a bundle's file at once.
const bundleBuffer = 1 << 20 // 1 MiB

// fill writes the bundle.
func (b *bundling) fill(ctx context.Context) (*export.Manifest, error) {
	b.buffer = bufio.NewWriterSize(b.out, bundleBuffer)
	s := &exportStream{job: b.job, format: "receipts", witnessed: len(b.policy.Witnesses()) > 0, once: true, receipt: b.add}
	end, err := s.run(ctx)
	if err != nil {
		return nil, err
	}
	if b.writer == nil {
		if err := b.begin([]byte(end.Checkpoint)); err != nil {
			return nil, err
		}
	}
	m, err := b.writer.Close(end.forManifest())
	if err != nil {
		return nil, err
	}
	return m, b.buffer.Flush()
}

// begin begins the bundle once its checkpoint is known.
func (b *bundling) begin(checkpoint []byte) (err error) {
	j := b.job
	b.writer, err = export.NewBundleWriter(b.buffer, b.spool, export.Meta{
		Origin: j.origin, Version: j.env.Version, Query: j.query, Order: j.order,
	}, checkpoint, b.policy, b.text)
	if err != nil {
		return &falseError{err}
	}
	return nil
}

// add adds an event. The writer checks that its receipt holds.
func (b *bundling) add(seq int64, severity, text, receipt string) error {
	r, err := proof.ParseReceipt([]byte(receipt))
	if err != nil {
		return &falseError{err}
	}
	if b.writer == nil {
		if err := b.begin(r.Proof.Checkpoint); err != nil {
			return err
		}
	}
	fields := r.Disclosure.Fields()
	record := &event.Record{Commitment: r.Disclosure.Commitment(), Fields: make([]event.StoredField, len(r.Disclosure))}
	for i := range record.Fields {
		if i < len(fields) {
			record.Fields[i].Field = fields[i]
		} else {
			record.Fields[i].Erased = true // who may read the log is hidden nothing else
		}
	}
	row := &export.Row{Seq: seq, Record: record, Class: catalogue.ClassOf(fields.Text("tag")), Severity: severity, Text: text}
	return asFalse(b.writer.Add(row, []byte(receipt)))
}

// isBundle reports whether the file at path is a bundle, or is called like one.
func isBundle(path string) bool {
	if strings.HasSuffix(path, ".zip") {
		return true
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4)
	n, _ := f.Read(head) // what cannot be read is none
	return string(head[:n]) == "PK\x03\x04"
}

// bundle checks an evidence bundle.
func (v *verification) bundle(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b, err := export.OpenBundle(f, info.Size(), export.Limits{})
	if err != nil {
		return asFalse(err)
	}
	report, err := b.Check(v.policy)
	if err != nil {
		return asFalse(err)
	}
	c, m := report.Checkpoint, report.Manifest
	if v.asJSON {
		return printJSON(v.env.Stdout, map[string]any{
			"origin": c.Origin, "size": c.N, "root": c.Hash, "events": report.Events, "hidden": report.Hidden, "signers": c.Signers,
			"witnessed": witnessed(c), "claims": map[string]any{"query": m.Query, "complete": m.Complete, "created": m.Created},
		})
	}
	w := v.env.Stdout
	fmt.Fprintf(w, "yes: these %s are in %s, in a tree of %d events, just as the bundle shows them\n", eventsOf(report.Events), printable(c.Origin), c.N)
	for _, w := range c.Cosignatures {
		fmt.Fprintf(v.env.Stdout, "cosigned by %s at %s\n", printable(w.Witness), w.Time.UTC().Format("2006-01-02T15:04:05Z"))
	}
	if report.Hidden > 0 {
		fmt.Fprintf(w, "%d fields of them are not shown, or were erased\n", report.Hidden)
	}
	fmt.Fprintf(w, "not proved, but said by whoever made it: the query %q; that this is all that it finds: %s\n", m.Query, yesNo(m.Complete))
	return nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
