package backup_test

import (
	"context"
	"strings"
	"testing"

	"github.com/custody-log/custody/internal/backup"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/segment"
)

// fileOf returns the name of the first file in a directory with that ending.
func fileOf(t *testing.T, data disk.FS, dir, ending string) string {
	t.Helper()
	for _, name := range must[[]string](t)(sub(t, data, dir).List()) {
		if strings.HasSuffix(name, ending) {
			return name
		}
	}
	t.Fatalf("no %s in %s", ending, dir)
	return ""
}

func sizeOf(t *testing.T, data disk.FS, dir, name string) int64 {
	t.Helper()
	return int64(len(must[[]byte](t)(disk.ReadFile(sub(t, data, dir), name))))
}

// A byte that changed anywhere is found, and the file is named: that is what a
// check is run for.
func TestCheckFindsEveryFlip(t *testing.T) {
	data := new(disk.Mem)
	r := run(t, data)
	r.add(t, 400)
	r.seal(t)
	r.add(t, 20)
	r.stop()
	sound(t, data)
	for _, c := range []struct{ dir, ending string }{
		{"store", ".main"},
		{"store", ".side"},
		{"journal", ".journal"},
		{"tree", "commitments"},
		{"tree", "level1"},
		{"tree", "checkpoint"},
	} {
		name := fileOf(t, data, c.dir, c.ending)
		size := sizeOf(t, data, c.dir, name)
		for i := range int64(23) {
			at := i * (size - 1) / 22
			data.Flip(c.dir+"/"+name, at, 3)
			found := check(t, data, nil)
			named := false
			for _, f := range found.Findings {
				named = named || f.File == c.dir+"/"+name || f.File == c.dir
			}
			if !named {
				t.Errorf("byte %d of %s/%s was changed; found %+v", at, c.dir, name, found.Findings)
			}
			data.Flip(c.dir+"/"+name, at, 3)
		}
	}
	sound(t, data)
}

// Who can write the checksums anew can change an event, and must not get away
// with it: the record is named.
func TestCheckFindsForgery(t *testing.T) {
	data, other := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 320)
	r.seal(t)
	r.stop()
	// Another log's files are whole, and its events are others.
	o := run(t, other)
	o.made = 7777
	o.add(t, 320)
	o.seal(t)
	o.stop()
	from := sub(t, other, "store")
	for _, name := range must[[]string](t)(from.List()) {
		if err := disk.ReplaceFile(sub(t, data, "store"), name, must[[]byte](t)(disk.ReadFile(from, name))); err != nil {
			t.Fatal(err)
		}
	}
	found := check(t, data, nil)
	wrong := make(map[int64]bool)
	for _, f := range found.Findings {
		wrong[f.Seq] = strings.HasPrefix(f.File, "store/")
	}
	for seq := range int64(320) {
		if !wrong[seq] {
			t.Errorf("record %d is not the one that was signed, and nobody noticed", seq)
		}
	}
}

// A damaged file is mended from the backup, and one that the backup has no good
// copy of stays as it is.
func TestRepair(t *testing.T) {
	data, dest := new(disk.Mem), new(disk.Mem)
	r := run(t, data)
	r.add(t, 400)
	r.seal(t)
	makeBackup(t, data, dest, nil)
	want := r.answers(t, 400)
	r.stop()
	repair := func() []backup.Repaired {
		b := must[*backup.Backup](t)(backup.Open(dest))
		paths := check(t, data, nil).Files()
		return must[[]backup.Repaired](t)(backup.Repair(context.Background(), backup.Repairing{Backup: b, FS: data, Plain: data}, paths))
	}
	for _, ending := range []string{".main", ".side"} {
		name := fileOf(t, data, "store", ending)
		for _, hurt := range []func(){
			func() { data.Flip("store/"+name, 50, 1) },
			func() { data.Flip("store/"+name, sizeOf(t, data, "store", name)-3, 1) },
			func() { _ = data.Remove("store/" + name); _ = sub(t, data, "store").Remove(name) },
		} {
			hurt()
			list := repair()
			if len(list) != 1 || list[0].Path != "store/"+name || list[0].Err != nil {
				t.Errorf("repaired %+v, want store/%s", list, name)
			}
			sound(t, data)
		}
	}
	again := run(t, data)
	if again.answers(t, 400) != want {
		t.Error("the repaired log answers otherwise")
	}
	again.stop()

	name := fileOf(t, data, "store", ".main")
	data.Flip("store/"+name, 50, 1)
	dest.Flip("parts/"+partOf(t, dest, ".main"), 60, 1)
	if list := repair(); len(list) != 1 || list[0].Err == nil {
		t.Errorf("repaired %+v with a backup that is damaged", list)
	}
	if err := segment.CheckFile(sub(t, data, "store"), name); err == nil {
		t.Error("the file is whole")
	}
}

// The tree's commitments are nowhere else once a record was dropped. As long as it
// was not, the record says what belongs in the file.
func TestMendTree(t *testing.T) {
	data := new(disk.Mem)
	r := run(t, data)
	r.add(t, 400)
	r.seal(t)
	r.stop()
	data.Flip("tree/commitments", 32*17+4, 1)
	data.Flip("tree/commitments", 32*300, 1)
	found := check(t, data, nil)
	if n, err := backup.MendTree(context.Background(), data, found); n != 2 || err != nil {
		t.Errorf("MendTree = %d, %v after a check that found %+v", n, err, found.Findings)
	}
	sound(t, data)
}
