package export

import (
	"archive/zip"
	"io"
	"strconv"
	"strings"

	"github.com/custody-log/custody/proof"
)

// Limits bound what reading a bundle may cost. Zero stands for the limits of
// writing.
type Limits struct {
	Bytes    int64 // of the file
	Unpacked int64 // bytes of all entries
	Events   int
}

func (l Limits) orDefault() Limits {
	if l.Bytes == 0 {
		l.Bytes = MaxBundleBytes
	}
	if l.Unpacked == 0 {
		l.Unpacked = MaxBundleUnpacked
	}
	if l.Events == 0 {
		l.Events = MaxBundleEvents
	}
	return l
}

// A Bundle is a bundle of which the form was checked, and nothing is to be
// believed before Check.
type Bundle struct {
	// Manifest is what whoever made the bundle says of it.
	Manifest *Manifest

	source     *source
	checkpoint []byte
	events     *zip.File
	receipts   map[int64]*zip.File // by seq
}

// fixedEntries are the entries that every bundle has.
var fixedEntries = []string{readmeEntry, checkpointEntry, eventsEntry, manifestEntry, policyEntry}

// OpenBundle reads the bundle in r, of size bytes. It fails with a
// [*FalseError] unless that is, byte by byte, of the form of a bundle, with the
// hashes and counts of its manifest; it does not look at what the receipts say.
// r must stay as it is while the bundle is in use.
func OpenBundle(r io.ReaderAt, size int64, limits Limits) (*Bundle, error) {
	src := &source{from: r}
	b, err := openBundle(src, size, limits.orDefault())
	if err != nil {
		return nil, src.verdict(err)
	}
	return b, nil
}

func openBundle(src *source, size int64, limits Limits) (*Bundle, error) {
	if size > limits.Bytes {
		return nil, falsef("", "bundle of %d bytes, at most %d", size, limits.Bytes)
	}
	archive, err := openZip(src, size, len(fixedEntries)+limits.Events)
	if err != nil {
		return nil, err
	}
	b := &Bundle{source: src, receipts: make(map[int64]*zip.File)}
	if err := b.sort(archive.File, limits); err != nil {
		return nil, err
	}
	if err := b.readFixed(archive.File); err != nil {
		return nil, err
	}
	if b.Manifest.Receipts.Count != int64(len(b.receipts)) || b.Manifest.Rows != int64(len(b.receipts)) {
		return nil, falsef(manifestEntry, "%d rows and %d receipts, and the bundle has %d receipts",
			b.Manifest.Rows, b.Manifest.Receipts.Count, len(b.receipts))
	}
	return b, nil
}

// sort finds the entries, which must be there in their order, and no others.
func (b *Bundle) sort(files []*zip.File, limits Limits) error {
	var unpacked uint64
	last := int64(-1)
	for i, f := range files {
		// No sum of up to 65,535 sizes of 32 bits overflows.
		if unpacked += f.UncompressedSize64; unpacked > uint64(limits.Unpacked) {
			return falsef(printable(f.Name), "unpacks to more than the %d bytes that a bundle may", limits.Unpacked)
		}
		if i < len(fixedEntries) {
			if f.Name != fixedEntries[i] {
				return falsef(printable(f.Name), "where %s should be", fixedEntries[i])
			}
			continue
		}
		digits, _ := strings.CutSuffix(strings.TrimPrefix(f.Name, receiptPrefix), receiptSuffix)
		seq, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || receiptEntry(seq) != f.Name || seq <= last {
			return falsef(printable(f.Name), "is no entry of a bundle, or not in its place")
		}
		last = seq
		b.receipts[seq] = f
	}
	if len(files) < len(fixedEntries) {
		return falsef("", "%s is missing", fixedEntries[len(files)])
	}
	return nil
}

// readFixed reads the fixed entries but the events, and compares with the
// manifest, which must list them and the events and nothing else.
func (b *Bundle) readFixed(files []*zip.File) (err error) {
	contents := make(map[string][]byte)
	for i, limit := range []int64{proof.MaxPolicyBytes, proof.MaxCheckpointBytes, 0, MaxManifestBytes, proof.MaxPolicyBytes} {
		if name := fixedEntries[i]; name == eventsEntry {
			b.events = files[i]
		} else if contents[name], err = readEntry(files[i], limit); err != nil {
			return err
		}
	}
	if b.Manifest, err = ParseManifest(contents[manifestEntry]); err != nil {
		return &FalseError{File: manifestEntry, Event: -1, Err: err}
	}
	b.checkpoint = contents[checkpointEntry]
	return b.checkManifest(contents)
}

// checkManifest compares the manifest with the contents of entries.
func (b *Bundle) checkManifest(contents map[string][]byte) error {
	m := b.Manifest
	listed := []string{readmeEntry, checkpointEntry, eventsEntry, policyEntry}
	if m.Format != bundle || len(m.Files) != len(listed) {
		return falsef(manifestEntry, "is not of a bundle")
	}
	for i, name := range listed {
		f := &m.Files[i]
		switch {
		case f.Name != name:
			return falsef(manifestEntry, "lists %s where %s should be", printable(f.Name), name)
		case name == eventsEntry:
			continue // Check reads it
		case f.Rows != 0:
			return falsef(manifestEntry, "says that there are events in %s", name)
		}
		if err := m.VerifyFile(name, strings.NewReader(string(contents[name]))); err != nil {
			return err
		}
	}
	if m.Checkpoint != string(b.checkpoint) {
		return falsef(manifestEntry, "has another checkpoint than the bundle")
	}
	if got := b.events.UncompressedSize64; got != uint64(m.Files[2].Bytes) {
		return falsef(eventsEntry, "has %d bytes, the manifest says %d", got, m.Files[2].Bytes)
	}
	return nil
}

// printable returns a name from a bundle as an error can show it.
func printable(name string) string {
	q := strconv.Quote(short(name))
	if plain := q[1 : len(q)-1]; plain == name {
		return name
	}
	return q
}
