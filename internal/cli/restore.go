package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/retain"
)

func restoreCommand() *command {
	return &command{
		name:  "restore",
		usage: "[flags] BACKUP DIRECTORY",
		short: "make a log's directory of a backup",
		long: `Makes a new data directory of a backup, and checks it as custody fsck does. The directory must be
empty, or not there.

  custody restore /mnt/backup/custody /var/lib/custody
  custody restore -ledger /broken/custody /mnt/backup/custody /var/lib/custody
  custody restore -encryption-key new.key /mnt/backup/custody /var/lib/custody    encrypt it from now on

What was erased after the backup was made is in it. -ledger names a newer backup, or a directory of the
log, however damaged its store: its erasures and holds are taken from there, and the next start erases again.
Never run a restored log beside the one it is a copy of.`,
		run: runRestore,
	}
}

// A restoring is what the command line of restore says.
type restoring struct {
	env                       *Env
	ledger, keyFile, fromFile string
	verify                    bool
}

func runRestore(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
	r := &restoring{env: env}
	flags.StringVar(&r.ledger, "ledger", "", "`directory` of the log, or newer backup, with the newest erasures and holds")
	flags.StringVar(&r.fromFile, "backup-key", "", "key `file` with which the backup is encrypted, if the directory is to have another")
	flags.BoolVar(&r.verify, "verify", true, "check what was restored down to the last byte")
	keyFile := fileKeyFlag(flags)
	rest, err := parse(flags, args, 2, 2)
	if err != nil {
		return err
	}
	r.keyFile = *keyFile
	if err := emptyDirectory(rest[1]); err != nil {
		return err
	}
	from, key, err := openBase(rest[0], r.fromFile)
	if err != nil {
		return err
	}
	if from.backup == nil {
		return &wrongError{fmt.Errorf("%s is not a backup: it has no file BACKUP", rest[0])}
	}
	if err := r.restore(ctx, from, key, rest[1]); err != nil {
		return withHint(hintFileKey(asFalse(err)), "what is in "+rest[1]+" is not whole: remove it before you try again")
	}
	return nil
}

// emptyDirectory makes a directory at path, unless there is one that is empty.
func emptyDirectory(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return &wrongError{fmt.Errorf("%s is not empty: there is %s", path, e.Name())}
		}
	}
	return nil
}

func (r *restoring) restore(ctx context.Context, from *dataDir, fromKey *disk.FileKey, path string) error {
	base, err := disk.Dir(path)
	if err != nil {
		return err
	}
	key, err := readFileKey(r.keyFile)
	if err != nil {
		return err
	}
	lock, err := disk.Lock(base)
	if err != nil {
		return err
	}
	defer lock.Close()
	c := backup.Restoring{Backup: from.backup, Dest: base}
	plain, err := r.keys(&c, from, fromKey, key)
	if err != nil {
		return err
	}
	if err := r.openLedger(&c, key); err != nil {
		return err
	}
	if isTerminal(r.env.Stderr) {
		c.Progress = newBar(r.env.Stderr, "restoring").show
	}
	if err := backup.Restore(ctx, c); err != nil {
		return err
	}
	if plain == nil {
		fmt.Fprintln(r.env.Stderr, "not checked: it is encrypted; custody fsck -encryption-key checks it")
		return nil
	}
	return r.look(ctx, &c, plain)
}

// keys decides how files are read and written: as they are, unless the new
// directory is to have another key than the backup, or one where that has none.
// It returns the new directory as the log sees it, nil if nothing here can.
func (r *restoring) keys(c *backup.Restoring, from *dataDir, fromKey, key *disk.FileKey) (plain disk.FS, err error) {
	switch {
	case from.backup.Encrypted && fromKey != nil:
		if err := disk.CheckEncrypted(from.base, fromKey); err != nil {
			return nil, err
		}
		if c.From, err = disk.Encrypt(from.base, fromKey); err != nil {
			return nil, err
		}
	case from.backup.Encrypted && key != nil:
		if err := disk.CheckEncrypted(from.base, key); err != nil {
			return nil, withHint(err, "to change the key, name the old one with -backup-key")
		}
		return disk.Encrypt(c.Dest, key)
	case from.backup.Encrypted:
		return nil, nil
	case key != nil:
		c.From = from.base
	}
	if key == nil {
		return c.Dest, nil
	}
	if err := disk.MarkEncrypted(c.Dest, key); err != nil {
		return nil, err
	}
	if c.Dest, err = disk.Encrypt(c.Dest, key); err != nil {
		return nil, err
	}
	return c.Dest, nil
}

// openLedger opens where the newest erasures are.
func (r *restoring) openLedger(c *backup.Restoring, key *disk.FileKey) error {
	if r.ledger == "" {
		return nil
	}
	d, given, err := openBase(r.ledger, "")
	if err != nil {
		return err
	}
	if d.backup == nil && !exists(filepath.Join(r.ledger, "retain")) {
		return fmt.Errorf("%s has no retain/: it is no log's data directory", r.ledger)
	}
	encrypted, err := d.base.Exists("encryption")
	if err != nil {
		return err
	}
	if encrypted {
		given = key
	}
	if err := disk.CheckEncrypted(d.base, given); err != nil {
		return fmt.Errorf("%s: %w", r.ledger, err)
	}
	if err := d.decrypt(given); err != nil {
		return err
	}
	c.Ledger.FS = d.plain
	c.Ledger.Dirs, err = d.dirs()
	return err
}

// look checks what was restored, and says what is to be known of it.
func (r *restoring) look(ctx context.Context, c *backup.Restoring, plain disk.FS) error {
	if r.verify {
		f := &fsck{env: r.env}
		report, err := f.check(ctx, &dataDir{plain: plain}, false)
		if err != nil {
			return err
		}
		if err := f.say(report); err != nil {
			return err
		}
	}
	w := r.env.Stdout
	b := c.Backup
	note := &backup.Note{Created: b.Created, Size: b.Size, Root: b.Root}
	if c.Ledger.FS != nil && b.Size >= 0 {
		note.Lost = max(0, backup.SignedSize(c.Ledger.FS)-b.Size)
	}
	if err := note.Leave(plain); err != nil {
		return err
	}
	fmt.Fprintf(w, "restored the log as it was at %s, %d events signed over\n", b.Created.Format(time.RFC3339), b.Size)
	if note.Lost > 0 {
		fmt.Fprintf(w, "%s had signed over %d more, which are lost: who kept their receipts, or a checkpoint, can tell\n", printable(r.ledger), note.Lost)
	}
	if !b.Keys {
		fmt.Fprintln(w, "the keys that sign are not in the backup: put signing/ in its place before you start the log")
	}
	count, last, err := erasures(plain)
	if err != nil {
		return err
	}
	if count == 0 {
		fmt.Fprintln(w, "it knows of no erasures")
	} else {
		fmt.Fprintf(w, "it knows of %d erasures, the last asked for at %s\n", count, last.Format(time.RFC3339))
	}
	if r.ledger == "" {
		fmt.Fprintln(w, "what was erased later is there again and must be erased again: restore with -ledger, or ask for it once more")
	} else {
		fmt.Fprintln(w, "the next start erases again what they took")
	}
	return nil
}

// erasures returns how many erasures a data directory knows of, and when the
// last was asked for.
func erasures(data disk.FS) (count int, last time.Time, err error) {
	dir, err := data.Sub("retain")
	if err == nil {
		dir, err = dir.Sub("erasures")
	}
	if err != nil {
		return 0, last, err
	}
	ledger, err := retain.OpenLedger(dir)
	if err != nil {
		return 0, last, errors.Join(err, errors.New("the ledger of erasures is damaged"))
	}
	for _, e := range ledger.List() {
		count++
		if e.Requested.After(last) {
			last = e.Requested
		}
	}
	return count, last, nil
}
