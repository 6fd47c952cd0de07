package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"custody": main})
}

// TestScript runs the program the way people do. Each file of testdata/script
// is one story.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Proxies of whoever runs the tests must not stand between.
			env.Setenv("NO_PROXY", "127.0.0.1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready,
			"flip":  flip,
		},
	})
}

// ready implements the script command "ready": it waits for a log that was
// started with -addr-file=addr -api-key-file=key, and points the environment
// at it.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: ready")
	}
	for range 200 {
		if data, err := os.ReadFile(ts.MkAbs("addr")); err == nil {
			ts.Check(os.Remove(ts.MkAbs("addr"))) // a later start writes it anew
			ts.Setenv("CUSTODY_URL", string(data))
			ts.Setenv("CUSTODY_KEY_FILE", ts.MkAbs("key"))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("no log wrote its address")
}

// flip implements the script command "flip FILE-PATTERN OFFSET": it changes one
// bit of a file; a negative offset counts from the end.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	if err != nil || len(files) != 1 {
		ts.Fatalf("%s matches %s", args[0], strings.Join(files, ", "))
	}
	data, err := os.ReadFile(files[0])
	ts.Check(err)
	offset, err := strconv.Atoi(args[1])
	ts.Check(err)
	if offset < 0 {
		offset += len(data)
	}
	data[offset] ^= 1
	ts.Check(os.WriteFile(files[0], data, 0o600))
}
