package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/proof"
)

func fsckCommand() *command {
	return &command{
		name:  "fsck",
		usage: "[flags] DIRECTORY",
		short: "check every byte of a log, and mend it",
		long: `Reads every byte of a log's directory, or of a backup, and compares files with their checksums,
records with the tree, and the tree with what the log signed. It says which record in which file is wrong;
the exit status is 3 then. A log may run there meanwhile.

  custody fsck /var/lib/custody
  custody fsck -deep /mnt/backup/custody                       also what only helps finding events
  custody fsck -repair /mnt/backup/custody /var/lib/custody    with the log stopped

-repair replaces damaged files of store/ by those of the same name in a backup, corrects commitments that
signed records contradict, and checks again.`,
		run: runFsck,
	}
}

// How a check uses memory. It makes garbage, the ciphers of two secrets for each
// record, next to the dictionaries of a few segments. The variables GOGC and
// GOMEMLIMIT overrule both.
const (
	checkGCPercent = 400
	checkMemory    = 1 << 30 // from here on it is collected more often
)

func runFsck(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
	deep := flags.Bool("deep", false, "also make each file of the store anew and compare; takes several times as long")
	repair := flags.String("repair", "", "replace what is damaged with what this `backup` has")
	logKey := flags.String("key", "", "the log's public `key`, or a file that holds it; default: the keys in signing/")
	asJSON := flags.Bool("json", false, "print what was found as JSON")
	keyFile := fileKeyFlag(flags)
	rest, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	if env.Getenv("GOGC") == "" {
		debug.SetGCPercent(checkGCPercent)
	}
	if env.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(checkMemory)
	}
	f := &fsck{env: env, deep: *deep, asJSON: *asJSON}
	if *logKey != "" {
		if f.policy, err = policy(env, *logKey); err != nil {
			return err
		}
	}
	data, err := openData(rest[0], *keyFile)
	if err != nil {
		return err
	}
	lock, running := data.lock()
	if lock != nil {
		defer lock.Close()
	}
	if *repair != "" && (running || lock == nil) {
		return withHint(errors.New("only a log's directory on which no log runs can be repaired"), "stop the log first")
	}
	report, err := f.check(ctx, data, running)
	if err != nil {
		return err
	}
	if *repair == "" || report.Wrong == 0 {
		return f.say(report)
	}
	if err := f.repair(ctx, data, *repair, report); err != nil {
		return err
	}
	if data, err = openData(rest[0], *keyFile); err != nil {
		return err
	}
	if report, err = f.check(ctx, data, false); err != nil {
		return err
	}
	return f.say(report)
}

// A fsck is one run of fsck.
type fsck struct {
	env    *Env
	policy *proof.Policy
	deep   bool
	asJSON bool
}

func (f *fsck) check(ctx context.Context, data *dataDir, running bool) (*backup.Report, error) {
	c := backup.Checking{Data: data.plain, Running: running, Policy: f.policy, Deep: f.deep}
	if isTerminal(f.env.Stderr) {
		bars := make(map[string]*bar)
		c.Progress = func(step string, done, all int64) {
			if bars[step] == nil {
				bars[step] = newBar(f.env.Stderr, "checking "+step)
			}
			bars[step].show(done, all)
		}
	}
	if data.backup != nil {
		if err := data.backup.Verify(ctx, nil); err != nil {
			return nil, asFalse(err)
		}
	}
	return backup.Check(ctx, c)
}

func (f *fsck) repair(ctx context.Context, data *dataDir, from string, report *backup.Report) error {
	mended, err := backup.MendTree(ctx, data.plain, report)
	if err != nil {
		return err
	}
	if mended > 0 {
		fmt.Fprintf(f.env.Stderr, "%d commitments of tree/commitments are again those of their records\n", mended)
	}
	if len(report.Files()) == 0 {
		return nil
	}
	dir, err := disk.Dir(from)
	if err != nil {
		return err
	}
	b, err := backup.Open(dir)
	if err != nil {
		return err
	}
	list, err := backup.Repair(ctx, backup.Repairing{Backup: b, FS: data.base, Plain: data.plain}, report.Files())
	for _, r := range list {
		if r.Err != nil {
			fmt.Fprintf(f.env.Stderr, "%s is as it was: %s\n", printable(r.Path), printable(r.Err.Error()))
		} else {
			fmt.Fprintf(f.env.Stderr, "%s was replaced\n", printable(r.Path))
		}
	}
	return err
}

// say prints a report, and makes a verdict of it.
func (f *fsck) say(r *backup.Report) error {
	if f.asJSON {
		if err := json.NewEncoder(f.env.Stdout).Encode(r); err != nil {
			return err
		}
	} else {
		f.print(r)
	}
	if r.Wrong > 0 {
		return withHint(&falseError{fmt.Errorf("%d things are wrong", r.Wrong)},
			"custody fsck -repair BACKUP replaces files of store/; keep the directory as it is otherwise")
	}
	return nil
}

// maxPrinted bounds how many findings are printed; -json has more.
const maxPrinted = 50

func (f *fsck) print(r *backup.Report) {
	w := f.env.Stdout
	for i, x := range r.Findings {
		if i == maxPrinted {
			fmt.Fprintf(w, "and %d more\n", r.Wrong-maxPrinted)
			break
		}
		file := x.File
		if x.Or != "" {
			file += " or " + x.Or
		}
		if x.Seq >= 0 {
			file += fmt.Sprintf(": record %d", x.Seq)
		}
		fmt.Fprintf(w, "wrong: %s: %s\n", printable(file), printable(x.Reason))
	}
	sum := r.Store
	for _, family := range slices.Sorted(maps.Keys(sum.Records)) {
		fmt.Fprintf(w, "%-20s %12d records\n", family, sum.Records[family])
	}
	fmt.Fprintf(w, "%-20s %12d records\n", "in the journal only", r.Journal)
	fmt.Fprintf(w, "%-20s %12d records, of which the commitments are left\n", "dropped by retention", sum.Dropped)
	for _, name := range sum.Orphans {
		fmt.Fprintf(w, "store/%s belongs to nothing: the next start removes it\n", printable(name))
	}
	switch {
	case r.Origin != "":
		fmt.Fprintf(w, "the tree of %d records is the one that %s signed, root %v\n", r.Size, printable(r.Origin), r.Root)
	case r.Wrong == 0 && r.Root != nil:
		fmt.Fprintln(w, "who signed the tree was not checked: the keys are not here, give -key")
	}
	if r.Wrong == 0 {
		fmt.Fprintf(w, "yes: nothing is wrong with %d segments\n", sum.Segments)
	}
}
