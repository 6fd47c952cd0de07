package export

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/proof"
)

// Limits of a bundle. Within them no reader of zip files needs its 64-bit form.
const (
	MaxBundleEvents   = 50_000
	MaxBundleBytes    = 2 << 30 // 2 GiB, the file
	MaxBundleUnpacked = 4 << 30 // 4 GiB, all entries
)

// The entries of a bundle, in their order; the receipts follow, by seq.
const (
	readmeEntry     = "README.txt"
	checkpointEntry = "checkpoint"
	eventsEntry     = "events.ndjson"
	manifestEntry   = "manifest.json"
	policyEntry     = "policy.txt"
	receiptPrefix   = "receipts/"
	receiptSuffix   = ".receipt"
)

func receiptEntry(seq int64) string {
	return receiptPrefix + strconv.FormatInt(seq, 10) + receiptSuffix
}

// A BundleWriter writes a bundle: events, and for each its receipt, all under
// one checkpoint. See docs/format/bundle.md. It is for one goroutine.
//
// After an error the bundle is of no use, and every later call returns the
// error.
type BundleWriter struct {
	meta       Meta
	checkpoint []byte
	policyText []byte
	checker    checker

	seal  *sealWriter
	zip   *zip.Writer
	rows  *Writer // of events.ndjson
	files []File

	spool     io.Writer
	spooled   []spooled
	spoolFile disk.File
	receipts  Receipts
	hash      hash.Hash // of the receipts
	unpacked  int64     // bytes of all entries
	line      []byte    // memory
	err       error
}

// A spooled is where a receipt is in the spool.
type spooled struct {
	seq, from int64
	size      int
}

// NewBundleWriter begins a bundle. Checkpoint is the signed tree head that all
// receipts are under. Policy is what whoever writes believes; what does not
// hold under it is not written. PolicyText is put into the bundle for people to
// read: whoever checks uses a policy of their own.
//
// The spool is a file for the receipts until Close; its content is lost.
func NewBundleWriter(out io.Writer, spool disk.File, m Meta, checkpoint []byte, policy *proof.Policy, policyText []byte) (*BundleWriter, error) {
	signed, err := proof.OpenCheckpoint(checkpoint, policy)
	if err != nil {
		return nil, fmt.Errorf("export: bundle: %w", err)
	}
	if m.Origin != signed.Origin {
		return nil, fmt.Errorf("export: bundle: of log %q, and the checkpoint is of %q", short(m.Origin), short(signed.Origin))
	}
	if len(policyText) > proof.MaxPolicyBytes {
		return nil, fmt.Errorf("export: bundle: policy of %d bytes, at most %d", len(policyText), proof.MaxPolicyBytes)
	}
	if err := spool.Truncate(0); err != nil {
		return nil, fmt.Errorf("export: bundle: spool: %w", err)
	}
	m.From, m.To = instantIn(m.From), instantIn(m.To)
	b := &BundleWriter{
		meta: m, checkpoint: checkpoint, policyText: policyText,
		checker: checker{policy: policy, signed: signed},
		seal:    newSealWriter(out), spool: spool, spoolFile: spool, hash: sha256.New(),
	}
	b.zip = zip.NewWriter(b.seal)
	if err := b.begin(); err != nil {
		return nil, fmt.Errorf("export: bundle: %w", err)
	}
	return b, nil
}

// begin writes the entries before the events, and opens theirs.
func (b *BundleWriter) begin() error {
	if err := b.whole(readmeEntry, []byte(bundleReadme)); err != nil {
		return err
	}
	if err := b.whole(checkpointEntry, b.checkpoint); err != nil {
		return err
	}
	events, err := b.zip.CreateHeader(entryHeader(eventsEntry))
	if err != nil {
		return err
	}
	b.rows, err = NewWriter(events, NDJSON, b.meta.Order)
	return err
}

// entryHeader returns the header of an entry, whose time is the first that zip
// knows: a bundle is a function of what is in it. Modified, which would be the
// modern way to say so, adds a field.
func entryHeader(name string) *zip.FileHeader {
	const january1980 = 1<<5 | 1
	//lint:ignore SA1019 Modified adds a field
	return &zip.FileHeader{Name: name, Method: zip.Deflate, ModifiedDate: january1980} //nolint:staticcheck // likewise
}

// whole writes an entry and adds it to the files of the manifest.
func (b *BundleWriter) whole(name string, content []byte) error {
	if err := b.entry(name, content); err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	b.files = append(b.files, File{Name: name, Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:])})
	return nil
}

func (b *BundleWriter) entry(name string, content []byte) error {
	if b.unpacked += int64(len(content)); b.unpacked > MaxBundleUnpacked {
		return fmt.Errorf("more than %d bytes unpacked", int64(MaxBundleUnpacked))
	}
	w, err := b.zip.CreateHeader(entryHeader(name))
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil && b.seal.bytes > MaxBundleBytes {
		err = fmt.Errorf("more than %d bytes", int64(MaxBundleBytes))
	}
	return err
}

// Add adds an event and its receipt, which must show what the row shows.
func (b *BundleWriter) Add(r *Row, receipt []byte) error {
	if b.err != nil {
		return b.err
	}
	if err := b.add(r, receipt); err != nil {
		b.err = fmt.Errorf("export: bundle: event %d: %w", r.Seq, err)
	}
	return b.err
}

func (b *BundleWriter) add(r *Row, receipt []byte) (err error) {
	switch {
	case r.Record == nil:
		return errors.New("row without a record")
	case len(b.spooled) == MaxBundleEvents:
		return fmt.Errorf("more than %d events: make several bundles", MaxBundleEvents)
	}
	if b.line, err = AppendJSON(b.line[:0], r); err != nil {
		return err
	}
	if _, err := b.checker.check(r.Seq, b.line, receipt); err != nil {
		return err
	}
	if err := b.rows.Write(r); err != nil {
		return err
	}
	if _, err := b.spool.Write(receipt); err != nil {
		return err
	}
	b.spooled = append(b.spooled, spooled{r.Seq, b.receipts.Bytes, len(receipt)})
	b.hash.Write(receipt)
	b.receipts.Count++
	b.receipts.Bytes += int64(len(receipt))
	return nil
}

// Close ends the bundle and returns its manifest. What is written to, and the
// spool, are left open.
func (b *BundleWriter) Close(end End) (*Manifest, error) {
	if b.err != nil {
		return nil, b.err
	}
	m, err := b.close(end)
	if err != nil {
		b.err = fmt.Errorf("export: bundle: %w", err)
		return nil, b.err
	}
	b.err = errors.New("export: bundle is closed")
	return m, nil
}

func (b *BundleWriter) close(end End) (*Manifest, error) {
	if err := b.rows.Close(); err != nil {
		return nil, err
	}
	events := b.rows.File(eventsEntry)
	b.files = append(b.files, events)
	b.unpacked += events.Bytes
	sum := sha256.Sum256(b.policyText)
	b.files = append(b.files, File{Name: policyEntry, Bytes: int64(len(b.policyText)), SHA256: hex.EncodeToString(sum[:])})
	b.receipts.SHA256 = hex.EncodeToString(b.hash.Sum(nil))
	end.Checkpoint = b.checkpoint
	m, err := newBundleManifest(b.meta, end, &b.receipts, b.files)
	if err != nil {
		return nil, err
	}
	data, err := m.Encode()
	if err != nil {
		return nil, err
	}
	if err := b.entry(manifestEntry, data); err != nil {
		return nil, err
	}
	if err := b.entry(policyEntry, b.policyText); err != nil {
		return nil, err
	}
	if err := b.unspool(); err != nil {
		return nil, err
	}
	if err := b.zip.SetComment(noSeal); err != nil {
		return nil, err
	}
	if err := b.zip.Close(); err != nil {
		return nil, err
	}
	return m, b.seal.close()
}

// unspool writes the receipts, by seq.
func (b *BundleWriter) unspool() error {
	slices.SortFunc(b.spooled, func(x, y spooled) int { return int(min(1, max(-1, x.seq-y.seq))) })
	var receipt []byte
	for i, s := range b.spooled {
		if i > 0 && b.spooled[i-1].seq == s.seq {
			return fmt.Errorf("event %d is there twice", s.seq)
		}
		receipt = slices.Grow(receipt[:0], s.size)[:s.size]
		if _, err := io.ReadFull(io.NewSectionReader(b.spoolFile, s.from, int64(s.size)), receipt); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		if err := b.entry(receiptEntry(s.seq), receipt); err != nil {
			return err
		}
	}
	return nil
}

func newBundleManifest(m Meta, end End, r *Receipts, files []File) (*Manifest, error) {
	manifest := &Manifest{
		FormatVersion: manifestVersion,
		Origin:        m.Origin, Version: m.Version, Created: instantIn(end.Created),
		Query: m.Query, From: m.From, To: m.To, Order: m.Order,
		Format: bundle, Complete: end.Complete, Notes: end.Notes, Files: files, Receipts: r, Checkpoint: string(end.Checkpoint),
	}
	manifest.sum()
	return manifest, manifest.check()
}
