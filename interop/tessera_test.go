package interop_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/journal"
)

// fsckTimeout bounds one check: given a corrupt log, fsck can wait for ever.
const fsckTimeout = 20 * time.Second

// fsckWorkers are enough for it not to.
const fsckWorkers = 16

var errStuck = errors.New("fsck did not end")

// verifier returns the log's key as Tessera wants it.
func verifier(t *testing.T, l *custodyLog) note.Verifier {
	t.Helper()
	v, err := note.NewVerifier(l.vkey())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func fetcherOf(t *testing.T, l *custodyLog) *client.HTTPFetcher {
	t.Helper()
	root, err := url.Parse(l.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	fetcher, err := client.NewHTTPFetcher(root, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	return fetcher
}

// leafHashes returns the leaf hashes of an entry bundle.
func leafHashes(bundle []byte) ([][]byte, error) {
	var parsed api.EntryBundle
	if err := parsed.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	var hashes [][]byte
	for _, entry := range parsed.Entries {
		h := tlog.RecordHash(entry)
		hashes = append(hashes, h[:])
	}
	return hashes, nil
}

// fsckLog checks a whole log with Tessera.
func fsckLog(t *testing.T, l *custodyLog) error {
	t.Helper()
	v := verifier(t, l)
	check := fsck.New(v.Name(), v, fetcherOf(t, l), leafHashes, fsck.Opts{N: fsckWorkers})
	ctx, cancel := context.WithTimeout(t.Context(), fsckTimeout)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- check.Check(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errStuck
	}
}

// TestTesseraFsck lets Tessera's fsck check a log, whole and with one byte
// changed.
func TestTesseraFsck(t *testing.T) {
	l := newLog(t, logRecords, false)
	if err := fsckLog(t, l); err != nil {
		t.Fatalf("fsck rejects the log: %v", err)
	}
	for _, h := range harms {
		t.Run(h.name, func(t *testing.T) {
			l.harm(h.path, h.offset)
			defer l.harm("", 0)
			err := fsckLog(t, l)
			if err == nil || errors.Is(err, errStuck) {
				t.Errorf("fsck = %v, want a rejection", err)
			}
			t.Logf("%.200s", err)
		})
	}
}

// TestTesseraClient compares the proofs Tessera computes from tiles with those
// that Custody gives, and lets it follow the log as it grows.
func TestTesseraClient(t *testing.T) {
	l := newLog(t, 300, false)
	fetcher, v := fetcherOf(t, l), verifier(t, l)
	small := l.tree.Latest()
	tracker, err := client.NewLogStateTracker(t.Context(), fetcher.ReadTile, nil, v, v.Name(), client.UnilateralConsensus(fetcher.ReadCheckpoint))
	if err != nil {
		t.Fatalf("Tessera does not accept the log: %v", err)
	}
	l.grow(logRecords - 300)
	if _, _, _, err := tracker.Update(t.Context()); err != nil {
		t.Fatalf("Tessera does not accept that the log grew: %v", err)
	}
	if got := tracker.Latest().Size; got != logRecords {
		t.Errorf("Tessera sees %d records, want %d", got, logRecords)
	}
	builder, err := client.NewProofBuilder(t.Context(), logRecords, fetcher.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []int64{0, 255, 256, 512, 699} {
		theirs, err := builder.InclusionProof(t.Context(), uint64(seq))
		if err != nil {
			t.Fatal(err)
		}
		ours, err := l.tree.Prove(journal.Seq(seq))
		if err != nil {
			t.Fatal(err)
		}
		samePath(t, theirs, ours.Path)
	}
	theirs, err := builder.ConsistencyProof(t.Context(), uint64(small.N), logRecords)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := l.tree.Consistency(small.N, logRecords)
	if err != nil {
		t.Fatal(err)
	}
	samePath(t, theirs, ours)
	// A tracker that saw the small log does not take another log for it.
	other := newLogWith(t, l.keys, logRecords, false)
	another := fetcherOf(t, other)
	tracker, err = client.NewLogStateTracker(t.Context(), another.ReadTile, small.Message, v, v.Name(), client.UnilateralConsensus(another.ReadCheckpoint))
	if err == nil {
		_, _, _, err = tracker.Update(t.Context())
	}
	if err == nil {
		t.Error("Tessera accepts a fork")
	} else {
		t.Log(err)
	}
}

func samePath[H ~[32]byte](t *testing.T, theirs [][]byte, ours []H) {
	t.Helper()
	if len(theirs) != len(ours) {
		t.Fatalf("Tessera's proof has %d hashes, Custody's %d", len(theirs), len(ours))
	}
	for i := range theirs {
		if !bytes.Equal(theirs[i], ours[i][:]) {
			t.Errorf("hash %d of the proof differs", i)
		}
	}
}
