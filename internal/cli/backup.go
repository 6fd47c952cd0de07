package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/disk"
)

func backupCommand() *command {
	return &command{
		name:  "backup",
		usage: "[flags] DIRECTORY",
		short: "copy a log to another directory, while it runs",
		long: `Copies the log in -data to a directory of its own, or brings the backup there up to date: what
it has already is not copied again, and what the log purged or erased is removed from it. The log may
run; it is not asked. Until a backup is complete the one before stays whole.

  custody backup -data /var/lib/custody /mnt/backup/custody

Files are copied as they are on the disk: those of an encrypted log stay encrypted. The keys that
sign are among them, unless -without-keys is given; keep the backup as safe as the log.
custody fsck and custody verify check a backup, custody restore makes a log of it: docs/backup.md.`,
		run: runBackup,
	}
}

func runBackup(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
	data := flags.String("data", "custody-data", "`directory` that holds the log")
	withoutKeys := flags.Bool("without-keys", false, "leave out the keys that sign; without them the log does not start again")
	check := flags.Bool("check", false, "read what is in the backup already, and copy again what is damaged")
	asJSON := flags.Bool("json", false, "print what was done as JSON")
	keyFile := fileKeyFlag(flags)
	rest, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	from, key, err := openBase(*data, *keyFile)
	if err != nil {
		return err
	}
	if from.backup != nil {
		return &wrongError{fmt.Errorf("%s is a backup: copy it as it is", *data)}
	}
	if err := from.isLog(); err != nil {
		return err
	}
	if err := os.MkdirAll(rest[0], 0o700); err != nil {
		return err
	}
	dest, err := disk.Dir(rest[0])
	if err != nil {
		return err
	}
	c := backup.Config{
		Source: backup.Source{FS: from.base, Key: key, Dirs: from.dirs},
		Dest:   dest, WithoutKeys: *withoutKeys, Check: *check, Now: time.Now(),
	}
	if isTerminal(env.Stderr) {
		c.Progress = newBar(env.Stderr, "copying").show
	}
	made, err := backup.Make(ctx, c)
	if err != nil {
		return hintFileKey(err)
	}
	return printMade(env, made, *asJSON)
}

func printMade(env *Env, made *backup.Made, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(env.Stdout).Encode(map[string]any{
			"created": made.Created, "origin": made.Origin, "size": made.Size, "root": made.Root, "encrypted": made.Encrypted, "keys": made.Keys,
			"files": len(made.Files), "bytes": made.Bytes(),
			"copied_parts": made.Copied, "copied_bytes": made.CopiedBytes, "removed_parts": made.Removed,
		})
	}
	what := "a log that cannot be read without its key"
	if made.Size >= 0 {
		what = fmt.Sprintf("%d events of %s, root %v", made.Size, printable(made.Origin), made.Root)
	}
	fmt.Fprintf(env.Stdout, "backup of %s: %d files, %d bytes\n", what, len(made.Files), made.Bytes())
	fmt.Fprintf(env.Stdout, "copied %d parts, %d bytes; removed %d parts that the log no longer has\n", made.Copied, made.CopiedBytes, made.Removed)
	if !made.Keys {
		fmt.Fprintln(env.Stderr, "the keys that sign are not in it: keep signing/ elsewhere, without it nobody can tell that this is the same log")
	}
	return nil
}
