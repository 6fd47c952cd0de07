package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/segment"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

func receiptCommand() *command {
	return &command{
		name:  "receipt",
		usage: "[flags] SEQ",
		short: "fetch the evidence for an event",
		long: `Prints the receipt of the event at position SEQ: a file that proves, for ever and without
the log, that the log has this event. With the log's public key it is checked first.

  custody receipt 42 > receipt.txt
  custody receipt -key log.key 42 > receipt.txt`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			key := flags.String("key", "", "the log's public `key`, or a file that holds it or a C2SP policy; default CUSTODY_LOG_KEY")
			asJSON := flags.Bool("json", false, "print what it proves instead; needs the public key")
			rest, err := parse(flags, args, 1, 1)
			if err != nil {
				return err
			}
			seq, err := position(rest[0])
			if err != nil {
				return err
			}
			return fetchReceipt(ctx, env, seq, *key, *asJSON)
		},
	}
}

func fetchReceipt(ctx context.Context, env *Env, seq int64, key string, asJSON bool) error {
	c, err := client(env)
	if err != nil {
		return err
	}
	known := key != "" || env.Getenv("CUSTODY_LOG_KEY") != ""
	var p *proof.Policy
	if known || asJSON {
		if p, err = policy(env, key); err != nil {
			return err
		}
	}
	path := fmt.Sprintf("/v1/events/%d/receipt?wait=20s", seq)
	if p != nil && len(p.Witnesses()) > 0 {
		path += "&witnessed=true"
	}
	text, err := c.Call(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	if p == nil {
		fmt.Fprintln(env.Stderr, "not checked: the log's public key is not known here; custody verify does it")
		_, err = env.Stdout.Write(text)
		return err
	}
	verified, err := checkReceipt(text, p)
	if err == nil && verified.Seq != seq {
		err = &falseError{fmt.Errorf("the log gave the receipt of event %d", verified.Seq)}
	}
	if err != nil {
		return err
	}
	if asJSON {
		return printVerified(env.Stdout, verified)
	}
	_, err = env.Stdout.Write(text)
	return err
}

// checkReceipt returns what a receipt proves, or a falseError.
func checkReceipt(text []byte, p *proof.Policy) (*proof.Verified, error) {
	r, err := proof.ParseReceipt(text)
	if err != nil {
		return nil, &falseError{err}
	}
	verified, err := r.Verify(p)
	if err != nil {
		return nil, &falseError{err}
	}
	return verified, nil
}

func verifyCommand() *command {
	return &command{
		name:  "verify",
		usage: "[flags] RECEIPT | BUNDLE | MANIFEST | DIRECTORY | URL",
		short: "check a receipt, an export, or a whole log",
		long: `Checks evidence with the log's public key, or with a C2SP policy file that also names
witnesses, and nothing else. What does not hold is said, with its place, and the exit status is 3.

  custody verify -key log.key receipt.txt       a receipt; "-" or nothing is standard input
  custody verify -key log.key case.zip          a bundle of evidence, see custody export
  custody verify events.csv.manifest.json       that the files of an export are whole
  custody verify -key log.key /backup/custody   a log's directory, while no log runs on it, or a backup
  custody verify -key log.key https://audit.example.com   a log's public tiles`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			key := flags.String("key", "", "the log's public `key`, or a file that holds it or a C2SP policy; default CUSTODY_LOG_KEY")
			asJSON := flags.Bool("json", false, "print what was proved as JSON")
			fileKey := fileKeyFlag(flags)
			rest, err := parse(flags, args, 0, 1)
			if err != nil {
				return err
			}
			what := "-"
			if len(rest) == 1 {
				what = rest[0]
			}
			if strings.HasSuffix(what, export.ManifestSuffix) {
				return verifyManifest(env, what, *key, *asJSON)
			}
			p, err := policy(env, *key)
			if err != nil {
				return err
			}
			v := &verification{env: env, policy: p, asJSON: *asJSON}
			info, statErr := os.Stat(what)
			switch {
			case strings.HasPrefix(what, "http://") || strings.HasPrefix(what, "https://"):
				return v.log(ctx, what)
			case what != "-" && statErr == nil && info.IsDir():
				return v.directory(ctx, what, *fileKey)
			case what != "-" && isBundle(what):
				return v.bundle(what)
			}
			return v.receipt(what)
		},
	}
}

// A verification is one run of verify.
type verification struct {
	env    *Env
	policy *proof.Policy
	asJSON bool
}

// receipt checks a receipt in a file.
func (v *verification) receipt(name string) error {
	in := v.env.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, proof.MaxProofBytes+1))
	if err != nil {
		return err
	}
	verified, err := checkReceipt(text, v.policy)
	if err != nil {
		return err
	}
	if v.asJSON {
		return printVerified(v.env.Stdout, verified)
	}
	c := verified.Checkpoint
	fmt.Fprintf(v.env.Stdout, "yes: this is event %d of %s, in a tree of %d events\n", verified.Seq, printable(c.Origin), c.N)
	for _, w := range c.Cosignatures {
		fmt.Fprintf(v.env.Stdout, "cosigned by %s at %s\n", printable(w.Witness), w.Time.UTC().Format("2006-01-02T15:04:05Z"))
	}
	for _, f := range verified.Fields {
		fmt.Fprintf(v.env.Stdout, "%-26s %s\n", printable(f.Name), printable(f.Text()))
	}
	if verified.Hidden > 0 {
		fmt.Fprintf(v.env.Stdout, "and %d fields that this receipt does not show\n", verified.Hidden)
	}
	return nil
}

// printVerified prints what a receipt proves as one line of JSON.
func printVerified(w io.Writer, v *proof.Verified) error {
	return json.NewEncoder(w).Encode(map[string]any{
		"seq": v.Seq, "origin": v.Checkpoint.Origin, "size": v.Checkpoint.N, "hidden": v.Hidden,
		"signers": v.Checkpoint.Signers, "witnessed": witnessed(v.Checkpoint), "event": v.Fields.Event(),
	})
}

// directory checks a log's data directory, or the one in a backup.
func (v *verification) directory(ctx context.Context, path, fileKey string) error {
	data, err := openData(path, fileKey)
	if err != nil {
		return err
	}
	lock, running := data.lock()
	if running {
		return withHint(disk.ErrLocked, "a log is running on it: stop it, or check it by its address, or a backup; custody fsck can check it now")
	}
	if lock != nil { // else the directory cannot be written to, and nobody runs a log on it
		defer lock.Close()
	}
	past, err := openStore(data.plain)
	if err != nil {
		return asFalse(err)
	}
	defer past.Close()
	records, err := v.journal(ctx, data.plain, past)
	if err != nil {
		return asFalse(err)
	}
	trees, err := data.plain.Sub("tree")
	if err != nil {
		return err
	}
	all := int64(records.Size())
	var progress func(int64)
	if isTerminal(v.env.Stderr) {
		b := newBar(v.env.Stderr, "checking")
		progress = func(done int64) { b.show(done, all) }
	}
	signed, dropped, err := tree.Audit(ctx, trees, records, v.policy, progress)
	if err != nil {
		return asFalse(err)
	}
	return v.yes(signed, all, dropped)
}

// openStore opens the store in data for reading.
func openStore(data disk.FS) (*store.Store, error) {
	dir, err := data.Sub("store")
	if err != nil {
		return nil, err
	}
	return store.OpenRead(store.Config{Dir: dir})
}

// journal reads every byte of the journal in data, and joins it with the records
// that are in the store.
func (v *verification) journal(ctx context.Context, data disk.FS, past *store.Store) (*journal.Journal, error) {
	dir, err := data.Sub("journal")
	if err != nil {
		return nil, err
	}
	from := journal.From(past.Sealed())
	if _, err := journal.Check(ctx, dir, from); err != nil {
		return nil, err
	}
	files, err := journal.ReadFiles(dir, from)
	if err != nil {
		return nil, err
	}
	records := journal.New(files)
	records.SetPast(past)
	return records, nil
}

// asFalse makes a verdict of an error that is one.
func asFalse(err error) error {
	if _, ok := errors.AsType[*journal.CorruptError](err); ok {
		return &falseError{err}
	}
	if _, ok := errors.AsType[*tree.FalseError](err); ok {
		return &falseError{err}
	}
	if _, ok := errors.AsType[*export.FalseError](err); ok {
		return &falseError{err}
	}
	if _, ok := errors.AsType[*segment.DamageError](err); ok {
		return &falseError{err}
	}
	if _, ok := errors.AsType[*backup.DamageError](err); ok {
		return &falseError{err}
	}
	return err
}

// witnessed reports whether witnesses stand behind a checkpoint: with a policy
// that asks for none, none do.
func witnessed(c *proof.Checkpoint) bool { return c.Witnessed && len(c.Cosignatures) > 0 }

// yes says that a whole log of n records holds. Those that are not signed over
// agree with each other, and that is all that can be said of them. Of those that
// retention dropped nothing but the commitment is there to be checked.
func (v *verification) yes(c *proof.Checkpoint, n, dropped int64) error {
	if v.asJSON {
		return json.NewEncoder(v.env.Stdout).Encode(map[string]any{
			"origin": c.Origin, "size": c.N, "records": n, "unproved": n - c.N, "dropped": dropped, "root": c.Hash, "signers": c.Signers, "witnessed": witnessed(c),
		})
	}
	fmt.Fprintf(v.env.Stdout, "yes: all %d events that %s signed over are as they were recorded, root %v\n", c.N, printable(c.Origin), c.Hash)
	if dropped > 0 {
		fmt.Fprintf(v.env.Stdout, "of %d of them, which retention dropped, the commitment is left\n", dropped)
	}
	if n > c.N {
		fmt.Fprintf(v.env.Stdout, "the %d newest are not signed over yet: nothing proves them\n", n-c.N)
	}
	fmt.Fprintln(v.env.Stdout, "that nothing newer was cut off, only witnesses or a receipt that somebody kept can tell")
	return nil
}

// log checks the public tiles of a log.
func (v *verification) log(ctx context.Context, address string) error {
	f := newFetcher(strings.TrimRight(address, "/"))
	msg, err := f.get(ctx, "/checkpoint", proof.MaxCheckpointBytes)
	if err != nil {
		return err
	}
	signed, err := proof.OpenCheckpoint(bytes.Clone(msg), v.policy)
	if err != nil {
		return &falseError{err}
	}
	var progress func(done int64)
	if isTerminal(v.env.Stderr) {
		b := newBar(v.env.Stderr, "checking")
		progress = func(done int64) { b.show(done, signed.N) }
	}
	root, err := f.root(ctx, signed.N, progress)
	if err != nil {
		return err
	}
	if root != signed.Hash {
		return &falseError{fmt.Errorf("the entries hash to %v, and the log signed %v", root, signed.Hash)}
	}
	return v.yes(signed, signed.N, 0)
}
