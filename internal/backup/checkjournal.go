package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/store"
)

// journal checks the records that are in the journal only.
func (k *checker) journal(ctx context.Context) error {
	dir, err := k.Data.Sub(journalDir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	from := journal.From(k.store.Sealed())
	if !k.Running {
		if _, err := journal.Check(ctx, dir, from); err != nil {
			return k.corrupt(err)
		}
	}
	files, err := journal.ReadFiles(dir, from)
	if err != nil {
		return k.corrupt(err)
	}
	damage, err := k.judgeAll(ctx, files, max(k.store.Sealed(), files.First()))
	if err != nil {
		return err
	}
	if damage != nil {
		return k.corrupt(damage)
	}
	if next := files.Next(); int64(next) < k.report.Size {
		k.found(Finding{File: journalDir, Seq: int64(next), Reason: fmt.Sprintf("it is missing, as is all that came after; %d were signed", k.report.Size)})
	}
	return nil
}

// judgeAtOnce is how many records of the journal one core checks at a time.
const judgeAtOnce = 1024

// judgeAll compares the records from from on with the tree, on all cores. damage
// is what kept some from being read; then those after it were not looked at.
func (k *checker) judgeAll(ctx context.Context, files *journal.Files, from journal.Seq) (damage, err error) {
	g, inside := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	step, all := k.step("journal"), int64(files.Next()-from)
	for seq := from; seq < files.Next() && inside.Err() == nil; {
		list, err := files.Read(seq, judgeAtOnce)
		if err != nil {
			damage = err
			break
		}
		seq += journal.Seq(len(list))
		g.Go(func() error {
			wrong, err := k.judgeSome(list)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, f := range wrong {
				k.found(f)
			}
			k.report.Journal += int64(len(list))
			step(k.report.Journal, all)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(k.report.Findings, func(a, b Finding) int { return cmp.Compare(a.Seq, b.Seq) })
	return damage, ctx.Err()
}

// judgeSome returns what is wrong with records of the journal.
func (k *checker) judgeSome(list []journal.Record) (wrong []Finding, err error) {
	commitment := k.trees.commitments()
	var record event.Record
	for _, r := range list {
		f, err := judge(&record, r, commitment)
		if err != nil {
			return nil, err
		}
		if f.Reason != "" {
			wrong = append(wrong, f)
		}
	}
	return wrong, nil
}

// judge says what is wrong with a record of the journal.
func judge(record *event.Record, r journal.Record, commitment func(int64, *event.Commitment) (bool, error)) (Finding, error) {
	f := Finding{File: journalDir, Seq: int64(r.Seq)}
	err := record.Decode(r.Body)
	if err == nil {
		err = record.Verify()
	}
	if err != nil {
		f.Reason = err.Error()
		return f, nil //nolint:nilerr // what is wrong was found
	}
	var want event.Commitment
	known, err := commitment(int64(r.Seq), &want)
	if err == nil && known && want != record.Commitment {
		gives := record.Commitment
		f.Reason, f.gives = "its commitment is not the one in the tree", &gives
	}
	return f, err
}

// corrupt makes a finding of what is wrong with the journal, or tries again if
// the log may have moved on.
func (k *checker) corrupt(err error) error {
	if errors.Is(err, journal.ErrDropped) || k.Running && errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	damage, ok := errors.AsType[*journal.CorruptError](err)
	if !ok {
		return err
	}
	if k.Running { // what was wanted may have been dropped since
		dir, serr := k.Data.Sub(storeDir)
		if serr != nil {
			return fmt.Errorf("backup: %w", serr)
		}
		now, serr := store.OpenRead(store.Config{Dir: dir})
		if serr != nil {
			return fmt.Errorf("backup: %w", serr)
		}
		moved := now.Sealed() != k.store.Sealed()
		if err := now.Close(); err != nil || moved {
			return errors.Join(err, errMoved)
		}
	}
	k.found(Finding{File: join(journalDir, damage.File), Seq: int64(damage.Seq), Reason: damage.Reason})
	return nil
}
