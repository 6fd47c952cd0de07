package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

// A Checking says what to check.
type Checking struct {
	// Data is a data directory as the log sees it: decrypted. It is not written
	// to.
	Data disk.FS

	// Running says that a log may be writing to it.
	Running bool

	// Policy has the keys that must have signed; nil: those in signing/.
	Policy *proof.Policy

	// Deep checks also what only helps finding records: see [store.Checking].
	Deep bool

	// Progress, if not nil, is told how much of a step is done.
	Progress func(step string, done, all int64)
}

// A Report is what a check found.
type Report struct {
	Origin string     `json:"origin,omitempty"` // of the signed checkpoint; empty if there were no keys to check it with
	Size   int64      `json:"size"`             // records that were signed over
	Root   *tlog.Hash `json:"root,omitempty"`

	Store    *store.Checked `json:"store"`
	Journal  int64          `json:"journal"` // records that are in the journal only
	Findings []Finding      `json:"findings"`
	Wrong    int64          `json:"wrong"` // how many findings there are; at most [store.MaxFindings] of the store are named
}

// A Finding is something wrong.
type Finding struct {
	File   string `json:"file"`         // with slashes
	Or     string `json:"or,omitempty"` // another that may be the one that is wrong
	Seq    int64  `json:"seq"`          // the record, or the first; -1 if it is about none
	Reason string `json:"reason"`

	gives *event.Commitment // what the record gives, if that is not what the tree has
}

// Check reads every byte of a log and compares: files with their checksums,
// records with the tree, and the tree with what was signed. What it finds is in
// the report; an error means that it could not be done.
func Check(ctx context.Context, c Checking) (*Report, error) {
	for attempt := 1; ; attempt++ {
		r, err := check(ctx, &c)
		if !errors.Is(err, errMoved) || !c.Running || attempt == maxAttempts {
			return r, err
		}
	}
}

func check(ctx context.Context, c *Checking) (*Report, error) {
	k := &checker{Checking: c, report: &Report{Findings: []Finding{}}}
	if err := k.openTree(); err != nil {
		return nil, err
	}
	if k.trees.rows != nil {
		defer k.trees.rows.Close()
	}
	if err := k.openStore(); err != nil {
		return nil, err
	}
	defer k.store.Close()
	if err := k.journal(ctx); err != nil {
		return nil, err
	}
	if err := k.segments(ctx); err != nil {
		return nil, err
	}
	if err := k.tree(ctx); err != nil {
		return nil, err
	}
	return k.report, nil
}

// A checker is one attempt of a check.
type checker struct {
	*Checking

	report *Report
	trees  *signedTree
	store  *store.Store
}

func (k *checker) found(f Finding) {
	k.report.Findings = append(k.report.Findings, f)
	k.report.Wrong++
}

func (k *checker) step(name string) func(done, all int64) {
	return func(done, all int64) {
		if k.Progress != nil {
			k.Progress(name, done, all)
		}
	}
}

// openTree reads the checkpoint; what was signed before the rest is read covers
// nothing that is not there yet.
func (k *checker) openTree() error {
	dir, err := k.Data.Sub(treeDir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	k.trees = &signedTree{FS: dir}
	msg, err := disk.ReadFile(dir, checkpointName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_, head, err := parseHead(msg)
	if err != nil {
		k.found(Finding{File: join(treeDir, checkpointName), Seq: -1, Reason: err.Error()})
		return nil //nolint:nilerr // what is wrong was found
	}
	k.trees.head, k.trees.size = msg, head.N
	k.report.Size, k.report.Root = head.N, &head.Hash
	if k.trees.rows, err = dir.OpenRead(commitmentsName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func (k *checker) openStore() error {
	dir, err := k.Data.Sub(storeDir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if k.store, err = store.OpenRead(store.Config{Dir: dir}); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if k.Running && len(k.store.Lost()) > 0 {
		return errors.Join(errMoved, k.store.Close())
	}
	return nil
}

// tree checks that the commitments in the tree give what was signed.
func (k *checker) tree(ctx context.Context) error {
	if k.trees.head == nil {
		return nil
	}
	policy := k.Policy
	if policy == nil {
		dir, err := k.Data.Sub(signingDir)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		keys, err := tree.LoadKeys(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing can be said about the signature; the caller sees no origin
		}
		if err != nil {
			return err
		}
		if policy, err = keys.Policy(); err != nil {
			return err
		}
	}
	origin, wrong, err := k.audit(ctx, policy)
	if wrong == nil {
		k.report.Origin = origin
		return err
	}
	// Commitments that records do not give: which of the two was signed?
	k.trees.instead = make(map[int64]*event.Commitment)
	for _, f := range k.report.Findings {
		if f.gives != nil {
			k.trees.instead[f.Seq] = f.gives
		}
	}
	if len(k.trees.instead) > 0 {
		origin, still, err := k.audit(ctx, policy)
		if err != nil {
			return err
		}
		if still == nil {
			k.report.Origin = origin
			k.blameTree()
			return nil
		}
	}
	k.found(Finding{File: wrong.Where, Seq: int64(wrong.Seq), Reason: wrong.Reason})
	return nil
}

// audit compares the tree with what was signed.
func (k *checker) audit(ctx context.Context, policy *proof.Policy) (origin string, wrong *tree.FalseError, err error) {
	step := k.step("tree")
	signed, _, err := tree.Audit(ctx, k.trees, commitmentsOnly(k.trees.size), policy, func(done int64) { step(done, k.trees.size) })
	if wrong, ok := errors.AsType[*tree.FalseError](err); ok {
		return "", wrong, nil
	}
	if err != nil {
		return "", nil, err
	}
	return signed.Origin, nil, nil
}

// blameTree makes findings about records that are as they were signed ones about
// the tree, which is not.
func (k *checker) blameTree() {
	for i := range k.report.Findings {
		if f := &k.report.Findings[i]; f.gives != nil {
			f.File, f.Or = join(treeDir, commitmentsName), ""
			f.Reason = "it is not the commitment of the record, which is as it was signed"
		}
	}
}

// commitmentsOnly is as many records of which nothing else is left.
type commitmentsOnly journal.Seq

// Size implements [tree.Source].
func (n commitmentsOnly) Size() journal.Seq { return journal.Seq(n) }

// Read implements [tree.Source].
func (n commitmentsOnly) Read(from journal.Seq, limit int) ([]journal.Record, error) {
	list := make([]journal.Record, min(journal.Seq(limit), journal.Seq(n)-from))
	for i := range list {
		list[i].Seq = from + journal.Seq(i)
	}
	return list, nil
}

func (k *checker) segments(ctx context.Context) (err error) {
	k.report.Store, err = k.store.Check(ctx, store.Checking{
		Commitment: func() func(int64, *event.Commitment) (bool, error) { return k.trees.commitments() },
		Deep:       k.Deep, Progress: k.step("records"),
	})
	if err != nil {
		return err
	}
	sum := k.report.Store
	if k.Running {
		sum.Orphans = nil // the log is about to name them
	}
	for _, f := range sum.Findings {
		other := f.Or
		if other != "" {
			other = join(storeDir, other)
		}
		k.found(Finding{File: join(storeDir, f.File), Or: other, Seq: f.Seq, Reason: f.Reason, gives: f.Gives})
	}
	k.report.Wrong += sum.Wrong - int64(len(sum.Findings))
	return nil
}

// Files returns the paths of files of the store that are, or may be, wrong.
func (r *Report) Files() []string {
	var paths []string
	for _, f := range r.Findings {
		for _, path := range []string{f.File, f.Or} {
			if dir, _ := split(path); dir == storeDir {
				paths = append(paths, path)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
