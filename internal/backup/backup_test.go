package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

// A backup that cannot be restored to a log that starts, answers as before and
// holds every proof is none.
func TestBackupAndRestore(t *testing.T) {
	data, dest := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 700)
	r.seal(t)
	r.add(t, 50)
	made := makeBackup(t, data, dest, nil)
	if made.Size != 750 || made.Origin != "log.example/test" || !made.Keys || made.Encrypted {
		t.Errorf("made %+v", made.Manifest)
	}
	want := r.answers(t, 750)
	r.stop()

	restored := restore(t, dest)
	if sum := sound(t, restored); sum.Size != 750 || sum.Journal+sum.Store.Sealed != 750 {
		t.Errorf("restored %d signed, %d in the journal, %d sealed; want 750 in all", sum.Size, sum.Journal, sum.Store.Sealed)
	}
	again := run(t, restored)
	if got := again.answers(t, 750); got != want {
		t.Error("the restored log answers otherwise")
	}
	again.add(t, 10)
	again.seal(t)
	again.stop()
	sound(t, restored)
}

// The log is backed up because it cannot be stopped: whatever it does meanwhile,
// the copy must be of one instant.
func TestBackupWhileWriting(t *testing.T) {
	data, dest := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 100)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			r.add(t, 40)
			if i%3 == 2 {
				r.seal(t)
				if err := r.Tidy(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	last := int64(0)
	for range 8 {
		made := makeBackup(t, data, dest, nil)
		if made.Size < last {
			t.Errorf("a backup of %d records after one of %d", made.Size, last)
		}
		last = made.Size
		sound(t, restore(t, dest))
		b := must[*backup.Backup](t)(backup.Open(dest))
		sound(t, b.FS()) // it can be looked at where it is
		if found := check(t, data, func(c *backup.Checking) { c.Running = true }); found.Wrong > 0 {
			t.Errorf("beside the running log a check found %+v", found.Findings)
		}
	}
	close(stop)
	<-done
}

// Who backs up every hour must not copy everything every hour.
func TestIncremental(t *testing.T) {
	data, dest := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 900)
	r.seal(t)
	first := makeBackup(t, data, dest, nil)
	again := makeBackup(t, data, dest, nil)
	if again.Copied != 0 || again.Removed != 0 {
		t.Errorf("nothing was new, and %d parts were copied, %d removed", again.Copied, again.Removed)
	}
	r.add(t, 5)
	small := makeBackup(t, data, dest, nil)
	if small.CopiedBytes*2 > first.CopiedBytes {
		t.Errorf("5 new events of 905: %d bytes of %d were copied", small.CopiedBytes, first.CopiedBytes)
	}
	sound(t, restore(t, dest))
	r.stop()
	makeBackup(t, data, dest, nil)

	// The segments were not read again, so what is damaged since is not noticed
	// here, and the good copy stays.
	part := partOf(t, dest, ".main")
	dest.Flip("parts/"+part, 100, 3)
	checked := makeBackup(t, data, dest, func(c *backup.Config) { c.Check = true })
	if checked.Copied != 1 {
		t.Errorf("%d parts were copied in place of one that is damaged", checked.Copied)
	}
	sound(t, restore(t, dest))
}

// partOf returns the first part of a file of the store with that ending.
func partOf(t *testing.T, dest disk.FS, ending string) string {
	t.Helper()
	b := must[*backup.Backup](t)(backup.Open(dest))
	for _, f := range b.Files {
		if strings.HasPrefix(f.Path, "store/") && strings.HasSuffix(f.Path, ending) {
			return f.Parts[0]
		}
	}
	t.Fatal("no such file")
	return ""
}

// What was erased must not live on in the backup.
func TestErasedLeaves(t *testing.T) {
	data, dest := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 400)
	r.seal(t)
	makeBackup(t, data, dest, nil)
	secrets := func(in disk.FS) (n int) {
		r := run(t, in)
		defer r.stop()
		for seq := range 400 {
			record, found, err := r.Record(journal.Seq(seq))
			if err != nil || !found {
				t.Fatal(seq, found, err)
			}
			for i := range record.Fields {
				if f := &record.Fields[i]; f.Private && !f.Erased {
					n++
				}
			}
		}
		return n
	}
	if secrets(restore(t, dest)) == 0 {
		t.Fatal("there is nothing to erase")
	}
	r.eraseAll(t)
	made := makeBackup(t, data, dest, nil)
	if made.Removed == 0 {
		t.Error("no part was removed")
	}
	restored := restore(t, dest)
	sound(t, restored)
	if n := secrets(restored); n > 0 {
		t.Errorf("%d erased fields are in the backup", n)
	}
	parts := sub(t, dest, "parts")
	needed := make(map[string]bool)
	for _, f := range must[*backup.Backup](t)(backup.Open(dest)).Files {
		for _, part := range f.Parts {
			needed[part] = true
		}
	}
	for _, name := range must[[]string](t)(parts.List()) {
		if !needed[name] {
			t.Errorf("part %s is there, and no file has it", name)
		}
	}
}

// eraseAll erases everything personal.
func (r *rig) eraseAll(t *testing.T) {
	t.Helper()
	sum, err := r.Erase(context.Background(), store.Erasure{
		Query: must[*query.Query](t)(query.Parse("", start)),
		Fields: func(_ journal.Seq, record *event.Record) (gone []int) {
			for i := range record.Fields {
				if f := &record.Fields[i]; f.Private && !f.Erased {
					gone = append(gone, i)
				}
			}
			return gone
		},
	})
	if err != nil || sum.Events == 0 {
		t.Fatal(sum, err)
	}
}

// When files go while they are copied, the backup is of a later instant, and not
// of two.
func TestFilesGoMeanwhile(t *testing.T) {
	data, dest := new(disk.Mem), new(disk.Mem)
	var armed atomic.Bool
	var r *rig
	data.Fail = func(op, path string) error {
		if op == "open" && strings.HasSuffix(path, ".main") && armed.CompareAndSwap(true, false) {
			r.eraseAll(t)
		}
		return nil
	}
	r = run(t, data)
	r.add(t, 350)
	r.seal(t)
	armed.Store(true)
	makeBackup(t, data, dest, nil)
	if armed.Load() {
		t.Fatal("nothing went")
	}
	restored := restore(t, dest)
	sound(t, restored)
	again := run(t, restored)
	record, found, err := again.Record(7)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	for i := range record.Fields {
		if f := &record.Fields[i]; f.Private && !f.Erased {
			t.Errorf("%s is there, and was erased before the instant of the backup", f.Name)
		}
	}
}

// A power cut at any step of a backup leaves the backup before, or the new one;
// the next backup mends what is half done.
func TestPowerCutDuringBackup(t *testing.T) {
	data, before := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 350)
	r.seal(t)
	r.add(t, 20)
	// The same is done anew for each step at which the power may go.
	prepare := func() *disk.Mem {
		dest := new(disk.Mem)
		makeBackup(t, data, dest, nil)
		return dest
	}
	makeBackup(t, data, before, nil)
	old := must[*backup.Backup](t)(backup.Open(before)).Size
	states := make([]*disk.Mem, 0, 64)
	for range 64 {
		states = append(states, prepare())
	}
	r.add(t, 300)
	r.seal(t)
	r.stop()
	for step, dest := range states {
		left, cut := step, false
		dest.Fail = func(op, _ string) error {
			if op == "read" || op == "list" || op == "open" {
				return nil
			}
			if left--; left < 0 {
				cut = true
				return disk.ErrInjected
			}
			return nil
		}
		c := backup.Config{Source: backup.Source{FS: data, Dirs: dirs}, Dest: dest, Now: start}
		_, err := backup.Make(context.Background(), c)
		dest.Fail = nil
		if cut != (err != nil) {
			t.Fatalf("step %d: Make = %v after an error of the disk: %v", step, err, cut)
		}
		dest = dest.Crash(func(n int) int { return step % 2 * n }) // all that may be lost is, or nothing
		b := must[*backup.Backup](t)(backup.Open(dest))
		if b.Size != old && b.Size != 670 {
			t.Errorf("step %d: a backup of %d records, want %d or 670", step, b.Size, old)
		}
		if err := b.Verify(context.Background(), nil); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
		if found := check(t, b.FS(), nil); found.Wrong > 0 {
			t.Errorf("step %d: check found %+v", step, found.Findings)
		}
		if made := makeBackup(t, data, dest, nil); made.Size != 670 {
			t.Errorf("step %d: the next backup is of %d records", step, made.Size)
		}
		if err := must[*backup.Backup](t)(backup.Open(dest)).Verify(context.Background(), nil); err != nil {
			t.Errorf("step %d: the next backup: %v", step, err)
		}
		if !cut {
			return
		}
	}
	t.Error("not all steps were reached")
}

// A backup that was damaged must not become a log.
func TestRestoreRefusesDamage(t *testing.T) {
	data, dest := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 50)
	r.stop()
	makeBackup(t, data, dest, nil)
	b := must[*backup.Backup](t)(backup.Open(dest))
	for _, f := range b.Files {
		for _, part := range f.Parts {
			dest.Flip("parts/"+part, f.Bytes/2, 1)
			err := backup.Restore(context.Background(), backup.Restoring{Backup: b, Dest: new(disk.Mem)})
			damage := (*backup.DamageError)(nil)
			if !errors.As(err, &damage) || damage.Path != f.Path {
				t.Errorf("%s: Restore = %v", f.Path, err)
			}
			dest.Flip("parts/"+part, f.Bytes/2, 1)
		}
	}
	text := must[[]byte](t)(disk.ReadFile(dest, "BACKUP"))
	for i := 0; i < len(text); i += 97 {
		dest.Flip("BACKUP", int64(i), 2)
		if _, err := backup.Open(dest); err == nil {
			t.Errorf("byte %d of BACKUP was changed, and nobody noticed", i)
		}
		dest.Flip("BACKUP", int64(i), 2)
	}
}

// The directory of a backup is somebody's: what else is in it must not be lost.
func TestBackupWantsItsOwnDirectory(t *testing.T) {
	data, dest := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 5)
	if err := disk.ReplaceFile(dest, "letter.txt", []byte("dear reader")); err != nil {
		t.Fatal(err)
	}
	_, err := backup.Make(context.Background(), backup.Config{Source: backup.Source{FS: data, Dirs: dirs}, Dest: dest})
	if err == nil || !strings.Contains(err.Error(), "letter.txt") {
		t.Errorf("Make = %v", err)
	}
}

// Without the keys that sign nobody can sign in the log's name with a backup that
// was stolen.
func TestWithoutKeys(t *testing.T) {
	data, dest := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 5)
	made := makeBackup(t, data, dest, func(c *backup.Config) { c.WithoutKeys = true })
	secret := must[[]byte](t)(disk.ReadFile(sub(t, data, "signing"), "log.keys"))
	parts := sub(t, dest, "parts")
	for _, name := range must[[]string](t)(parts.List()) {
		if bytes.Equal(must[[]byte](t)(disk.ReadFile(parts, name)), secret) {
			t.Error("the keys are in the backup")
		}
	}
	if made.Keys {
		t.Error("the backup says that it has the keys")
	}
	if found := check(t, must[*backup.Backup](t)(backup.Open(dest)).FS(), nil); found.Wrong > 0 || found.Origin != "" {
		t.Errorf("check found %+v, signed by %q", found.Findings, found.Origin)
	}
}

// An encrypted log stays encrypted in its backup, which needs no key; with the key
// it is checked and restored, also to another key, or from none to one.
func TestEncryptedBackup(t *testing.T) {
	one, two := must[*disk.FileKey](t)(disk.GenerateFileKey()), must[*disk.FileKey](t)(disk.GenerateFileKey())
	base, dest := new(disk.Mem), new(disk.Mem)
	if err := disk.MarkEncrypted(base, one); err != nil {
		t.Fatal(err)
	}
	data := must[disk.FS](t)(disk.Encrypt(base, one))
	r := run(t, data)
	r.add(t, 320)
	r.seal(t)
	r.add(t, 30)
	r.stop()
	r = run(t, must[disk.FS](t)(disk.Encrypt(base, one))) // files that are appended to anew have lists of spans
	r.add(t, 30)
	want := r.answers(t, 380)
	for _, key := range []*disk.FileKey{nil, one} {
		t.Run(fmt.Sprint("key ", key != nil), func(t *testing.T) {
			made := makeBackup(t, base, dest, func(c *backup.Config) { c.Source.Key = key })
			if !made.Encrypted || (made.Size == 380) != (key != nil) {
				t.Errorf("made %+v", made.Manifest)
			}
			raw := restore(t, dest)
			same := must[disk.FS](t)(disk.Encrypt(raw, one))
			sound(t, same)
			again := run(t, same)
			if again.answers(t, 380) != want {
				t.Error("the restored log answers otherwise")
			}
			again.stop()

			b := must[*backup.Backup](t)(backup.Open(dest))
			other := new(disk.Mem)
			if err := disk.MarkEncrypted(other, two); err != nil {
				t.Fatal(err)
			}
			to := must[disk.FS](t)(disk.Encrypt(other, two))
			from := must[disk.FS](t)(disk.Encrypt(b.FS(), one))
			if err := backup.Restore(context.Background(), backup.Restoring{Backup: b, From: from, Dest: to}); err != nil {
				t.Fatal(err)
			}
			sound(t, to)
			if err := disk.CheckEncrypted(other, two); err != nil {
				t.Error(err)
			}
		})
	}
}
