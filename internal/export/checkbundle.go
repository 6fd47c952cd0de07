package export

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/proof"
)

// A BundleReport is what a bundle proves.
type BundleReport struct {
	Checkpoint *proof.Checkpoint // that all events are under
	Events     int64
	Hidden     int64 // fields that the receipts do not show, or that were erased

	// Manifest is what whoever made the bundle says, beyond what is proved:
	// what was asked for, and whether this is all of it.
	Manifest *Manifest
}

// Check returns what b proves to whoever believes policy. It fails with a
// [*FalseError], which names the entry and the event, unless every line of
// events.ndjson has a receipt that policy accepts, under the bundle's
// checkpoint, and that shows exactly what the line says; unless there is no
// other receipt; and unless all is as the manifest has it. The sentence and
// the severity in a line are not proved.
func (b *Bundle) Check(policy *proof.Policy) (*BundleReport, error) {
	signed, err := proof.OpenCheckpoint(b.checkpoint, policy)
	if err != nil {
		return nil, &FalseError{File: checkpointEntry, Event: -1, Err: err}
	}
	if b.Manifest.Origin != signed.Origin {
		return nil, falsef(manifestEntry, "is of log %s, and the checkpoint of %s", printable(b.Manifest.Origin), printable(signed.Origin))
	}
	c := &bundleCheck{
		bundle:   b,
		checker:  checker{policy: policy, signed: signed},
		lines:    sha256.New(),
		receipts: sha256.New(),
		report:   &BundleReport{Checkpoint: signed, Manifest: b.Manifest},
	}
	if err := c.events(); err != nil {
		return nil, b.source.verdict(err)
	}
	if err := c.compare(); err != nil {
		return nil, err
	}
	return c.report, nil
}

// A bundleCheck is one run of Check.
type bundleCheck struct {
	bundle  *Bundle
	checker checker
	report  *BundleReport

	lines    hash.Hash // of events.ndjson
	receipts hash.Hash
	size     int64 // of the receipts
	file     File  // counts the rows
	last     *place
}

// events reads events.ndjson, line by line.
func (c *bundleCheck) events() error {
	in, err := openEntry(c.bundle.events)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(io.TeeReader(in, c.lines))
	lines.Buffer(make([]byte, flushBytes), maxRowBytes+1)
	lines.Split(splitLines)
	for lines.Scan() {
		if err := c.row(lines.Bytes()); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return falsef(eventsEntry, "line %d has more than %d bytes", c.report.Events+1, maxRowBytes)
	case errors.Is(err, errNoLine):
		return falsef(eventsEntry, "line %d: %w", c.report.Events+1, err)
	default:
		return err
	}
}

var errNoLine = errors.New("does not end in a newline")

// splitLines is [bufio.ScanLines] that takes nothing away and wants a line end.
func splitLines(data []byte, atEnd bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEnd && len(data) > 0 {
		return 0, nil, errNoLine
	}
	return 0, nil, nil
}

// row checks one line and its receipt.
func (c *bundleCheck) row(line []byte) error {
	n := c.report.Events + 1
	var said struct {
		Seq *int64 `json:"seq"`
	}
	if err := json.Unmarshal(line, &said); err != nil {
		return falsef(eventsEntry, "line %d: %w", n, err)
	}
	if said.Seq == nil {
		return falsef(eventsEntry, "line %d has no seq", n)
	}
	seq := *said.Seq
	entry := c.bundle.receipts[seq]
	if entry == nil {
		return &FalseError{File: eventsEntry, Event: seq, Err: errors.New("has no receipt")}
	}
	receipt, err := readEntry(entry, proof.MaxProofBytes)
	if err != nil {
		return err
	}
	p, err := c.checker.check(seq, line, receipt)
	if err != nil {
		return &FalseError{File: receiptEntry(seq), Event: seq, Err: err}
	}
	if err := c.order(seq, p); err != nil {
		return &FalseError{File: eventsEntry, Event: seq, Err: err}
	}
	c.receipts.Write(receipt)
	c.size += int64(len(receipt))
	c.report.Events++
	c.report.Hidden += int64(p.hidden)
	c.file.add(seq, 0)
	return nil
}

// order checks that a row follows the one before it, as far as its time is
// shown. So none is there twice.
func (c *bundleCheck) order(seq int64, p *proved) error {
	if !p.timed {
		return errors.New("the receipt does not show the time")
	}
	at := place{p.micros, seq}
	if c.last != nil && !at.follows(*c.last, c.bundle.Manifest.Order) {
		return ErrOrder
	}
	c.last = &at
	return nil
}

// compare compares what was read with the manifest. As no row is there twice,
// as many rows as receipts means that there is no receipt too many.
func (c *bundleCheck) compare() error {
	m := c.bundle.Manifest
	events := &m.Files[2]
	if sum := hex.EncodeToString(c.lines.Sum(nil)); sum != events.SHA256 {
		return falsef(eventsEntry, "hashes to %s, the manifest says %s", sum, events.SHA256)
	}
	if int64(len(c.bundle.receipts)) != c.report.Events {
		return falsef(eventsEntry, "%d events, and %d receipts", c.report.Events, len(c.bundle.receipts))
	}
	if events.Rows != c.report.Events || !same(events.First, c.file.First) || !same(events.Last, c.file.Last) {
		return falsef(manifestEntry, "rows, first or last seq are not those of %s", eventsEntry)
	}
	if m.Receipts.Bytes != c.size || m.Receipts.SHA256 != hex.EncodeToString(c.receipts.Sum(nil)) {
		return falsef(manifestEntry, "size or hash of the receipts is not what they have")
	}
	if events.Erased > c.report.Hidden {
		return falsef(manifestEntry, "%d fields erased, and the receipts hide %d", events.Erased, c.report.Hidden)
	}
	return nil
}

func same(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// A checker checks lines against their receipts. Its memory is used again.
type checker struct {
	policy *proof.Policy
	signed *proof.Checkpoint // that receipts must be under

	places places
	line   []byte
}

// A proved is what a receipt proved of a line.
type proved struct {
	hidden int
	micros int64 // the time
	timed  bool  // the time is shown
}

// check checks that receipt proves what line says, of the event at seq.
func (c *checker) check(seq int64, line, receipt []byte) (*proved, error) {
	r, err := proof.ParseReceipt(receipt)
	if err != nil {
		return nil, err
	}
	v, err := r.Verify(c.policy)
	if err != nil {
		return nil, err
	}
	if v.Seq != seq {
		return nil, fmt.Errorf("is the receipt of event %d", v.Seq)
	}
	if v.Checkpoint.Origin != c.signed.Origin || v.Checkpoint.Tree != c.signed.Tree {
		return nil, fmt.Errorf("is under a tree of %d events, and the bundle's checkpoint is of %d: %w", v.Checkpoint.N, c.signed.N, errOtherTree)
	}
	if err := c.compare(line, v); err != nil {
		return nil, err
	}
	p := &proved{hidden: v.Hidden}
	p.micros, p.timed = c.places.micros(timeCode)
	return p, nil
}

var errOtherTree = errors.New("all receipts of a bundle are under one checkpoint")

// compare writes the line again from what v proves. From the line it takes
// only what nobody proves.
func (c *checker) compare(line []byte, v *proof.Verified) error {
	var derived struct {
		Text     string `json:"text"`
		Severity string `json:"severity"`
	}
	if err := json.Unmarshal(line, &derived); err != nil {
		return err
	}
	c.places.fillFields(v.Fields)
	row := &Row{Seq: v.Seq, Text: derived.Text, Severity: derived.Severity, Class: catalogue.ClassOf(c.places.text(tagCode))}
	proved, err := appendRow(c.line[:0], &c.places, row, v.Commitment)
	if err != nil {
		return err
	}
	c.line = proved
	if !bytes.Equal(line, proved) {
		return fmt.Errorf("does not prove what %s says: %s", eventsEntry, difference(line, proved))
	}
	return nil
}
