package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The build machine believes the last line of a run. A failure that is not
// counted, or whose reason is not printed, would go unseen.
func TestReport(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		print string
		pass  int
		fail  int
		skip  int
	}{
		{
			name: "what passes is counted and not printed",
			lines: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: talk\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"PASS\n"}`,
				`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			print: "ok  \tp\t0.1s\n",
			pass:  1,
		},
		{
			name: "what fails is printed with its reason",
			lines: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: why\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			print: "    a_test.go:1: why\n--- FAIL: TestA (0.00s)\nFAIL\tp\t0.1s\n",
			fail:  1,
		},
		{
			name: "what does not build is a failure",
			lines: []string{
				`{"ImportPath":"p","Action":"build-output","Output":"p/a.go:1: undefined: x\n"}`,
				`{"ImportPath":"p","Action":"build-fail"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			},
			print: "p/a.go:1: undefined: x\nFAIL\tp [build failed]\n",
			fail:  1,
		},
		{
			name: "what ends early is a failure, and its last words are printed",
			lines: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"last words\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			print: "last words\n",
			fail:  1,
		},
		{
			name: "what is skipped is named",
			lines: []string{
				`{"Action":"skip","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			print: "skipped: p TestA\n",
			skip:  1,
		},
		{
			name:  "plain words are printed",
			lines: []string{`go: cannot find main module`},
			print: "go: cannot find main module\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			r := newReport(&out)
			if err := r.read(strings.NewReader(strings.Join(c.lines, "\n") + "\n")); err != nil {
				t.Fatal(err)
			}
			if out.String() != c.print {
				t.Errorf("printed %q, want %q", &out, c.print)
			}
			if r.passes != c.pass || r.fails != c.fail || len(r.skipped) != c.skip {
				t.Errorf("counted %d passed, %d failed, %d skipped, want %d, %d, %d",
					r.passes, r.fails, len(r.skipped), c.pass, c.fail, c.skip)
			}
		})
	}
}

// Two modules' tests are added up from one file.
func TestCountsAreAppended(t *testing.T) {
	file := t.TempDir() + "/counts"
	for _, line := range []string{"1 2 3\n", "4 5 6\n"} {
		if err := appendTo(file, line); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "1 2 3\n4 5 6\n" {
		t.Errorf("the file holds %q, %v, want both lines", got, err)
	}
}
