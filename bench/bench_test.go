package main_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A row that no longer runs is found out here, not when somebody needs the
// figures.
func TestRowsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the benchmark and the program; not with -short")
	}
	bench := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", bench, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	list, err := exec.Command(bench, "-list").Output()
	if err != nil {
		t.Fatalf("-list: %v", err)
	}
	table, err := exec.Command(bench, "-quick", "-seconds", "0.05", "-dir", t.TempDir()).Output()
	if err != nil {
		t.Errorf("all rows: %v", err)
	}
	for row := range strings.Lines(string(list)) {
		row = strings.TrimSpace(row)
		if !strings.Contains(string(table), "| "+row+" ") {
			t.Errorf("there is no row %q in:\n%s", row, table)
		}
	}
}
