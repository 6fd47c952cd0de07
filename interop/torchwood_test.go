package interop_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

// readAll reads and checks a whole log with torchwood's client.
func readAll(ctx context.Context, l *custodyLog) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	policy, err := torchwood.ParsePolicy(fmt.Appendf(nil, "log %s\nquorum none\n", l.vkey()))
	if err != nil {
		return nil, err
	}
	fetcher, err := torchwood.NewTileFetcher(l.url)
	if err != nil {
		return nil, err
	}
	client, err := torchwood.NewClient(fetcher)
	if err != nil {
		return nil, err
	}
	msg, err := fetcher.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		return nil, err
	}
	checkpoint, _, err := torchwood.VerifyCheckpoint(msg, policy)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for _, entry := range client.AllEntries(ctx, checkpoint.Tree, 0) {
		entries = append(entries, bytes.Clone(entry))
	}
	return entries, client.Err()
}

// TestTorchwoodReadsTheLog lets torchwood's client read a log, whole and with
// one byte changed.
func TestTorchwoodReadsTheLog(t *testing.T) {
	l := newLog(t, logRecords, false)
	entries, err := readAll(t.Context(), l)
	if err != nil {
		t.Fatalf("torchwood rejects the log: %v", err)
	}
	if len(entries) != logRecords {
		t.Fatalf("torchwood reads %d entries, want %d", len(entries), logRecords)
	}
	for i, entry := range entries {
		want, err := tree.StoredEntry(l.list[i])
		if err != nil || !bytes.Equal(entry, want[:]) {
			t.Fatalf("torchwood reads entry %d as %x, want %x, %v", i, entry, want, err)
		}
	}
	for _, h := range harms {
		t.Run(h.name, func(t *testing.T) {
			l.harm(h.path, h.offset)
			defer l.harm("", 0)
			if _, err := readAll(t.Context(), l); err == nil {
				t.Error("torchwood accepts the log")
			} else {
				t.Log(err)
			}
		})
	}
	if _, err := readAll(t.Context(), l); err != nil {
		t.Errorf("torchwood rejects the log once it is whole again: %v", err)
	}
}

// believes checks a receipt with torchwood. The disclosure is ours: from it
// comes the leaf that torchwood looks for.
func believes(policy torchwood.Policy, receipt []byte) error {
	extra, err := torchwood.ProofExtraData(receipt)
	if err != nil {
		return err
	}
	disclosure, err := proof.DecodeDisclosure(extra)
	if err != nil {
		return err
	}
	entry := disclosure.Commitment().Entry()
	return torchwood.VerifyProof(policy, tlog.RecordHash(entry[:]), receipt)
}

// TestTorchwoodChecksReceipts lets torchwood check receipts, as they are and
// with one byte changed, and compares its verdict with ours.
func TestTorchwoodChecksReceipts(t *testing.T) {
	l := newLog(t, logRecords, false)
	theirs, err := torchwood.ParsePolicy(fmt.Appendf(nil, "log %s\nquorum none\n", l.vkey()))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := proof.KeyPolicy(l.vkey())
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []journal.Seq{0, 255, 256, 511, 512, 699} {
		if err := believes(theirs, l.receipt(seq)); err != nil {
			t.Errorf("torchwood rejects the receipt of record %d: %v", seq, err)
		}
	}
	receipt := l.receipt(300)
	for i := range receipt {
		changed := bytes.Clone(receipt)
		changed[i] ^= 1
		accepted := believes(theirs, changed) == nil
		r, err := proof.ParseReceipt(changed)
		if err == nil {
			_, err = r.Verify(ours)
		}
		if err == nil {
			t.Errorf("byte %d of %d changed: we accept the receipt", i, len(receipt))
		}
		if accepted && !sparesBits(receipt, changed) {
			t.Errorf("byte %d of %d changed from %q to %q: torchwood accepts the receipt", i, len(receipt), receipt[i], changed[i])
		}
	}
}

// sparesBits reports whether changed says the same as receipt to a reader that
// does not mind how the last character of base64 is spelled. torchwood does
// not; we do.
func sparesBits(receipt, changed []byte) bool {
	a, errA := torchwood.ProofExtraData(receipt)
	b, errB := torchwood.ProofExtraData(changed)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		return false
	}
	for i := range receipt {
		if receipt[i] != changed[i] {
			return i+1 < len(receipt) && (receipt[i+1] == '=' || receipt[i+1] == '\n')
		}
	}
	return false
}

// TestTorchwoodProvesTheSame compares the proof torchwood computes from tiles
// with the one Custody gives.
func TestTorchwoodProvesTheSame(t *testing.T) {
	l := newLog(t, logRecords, false)
	fetcher, err := torchwood.NewTileFetcher(l.url)
	if err != nil {
		t.Fatal(err)
	}
	client, err := torchwood.NewClient(fetcher)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []int64{0, 1, 255, 256, 600, 699} {
		entry, path, err := client.Entry(t.Context(), l.tree.Latest().Tree, seq)
		if err != nil {
			t.Fatalf("entry %d: %v", seq, err)
		}
		p, err := l.tree.Prove(journal.Seq(seq))
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(path) != fmt.Sprint(p.Path) || len(entry) != event.EntryBytes {
			t.Errorf("entry %d: torchwood proves %v, Custody %v", seq, path, p.Path)
		}
	}
}
