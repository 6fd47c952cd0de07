package witness_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/internal/witness"
	"github.com/custody-log/custody/proof"
)

// A peer is a witness as in c2sp.org/tlog-witness that runs in the test.
type peer struct {
	t      *testing.T
	signer note.Signer
	vkey   string
	log    *proof.Policy

	mu    sync.Mutex
	seen  tlog.Tree
	mode  string // how it misbehaves, "" if it does not
	asked int
}

func newPeer(t *testing.T, name string, keys *tree.Keys) *peer {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cosignature.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	if vkey, err = cosignature.VKeyToCosignatureV1(vkey); err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, signer: signer, vkey: vkey, seen: tlog.Tree{Hash: sha256.Sum256(nil)}}
	if keys != nil {
		if p.log, err = keys.Policy(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *peer) set(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
}

// ServeHTTP takes a checkpoint.
func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.misbehave(w) {
		return
	}
	c, err := proof.ParseConsistency(body)
	if err != nil || r.URL.Path != "/w/add-checkpoint" || r.Method != http.MethodPost {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	if c.Old != p.seen.N {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%d\n", p.seen.N)
		return
	}
	larger, err := c.Check(p.log, p.seen)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	p.seen = larger.Tree
	text, _, _ := strings.Cut(string(c.Checkpoint), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, p.signer)
	if err != nil {
		panic(err)
	}
	_, line, _ := bytes.Cut(signed, []byte("\n\n"))
	if p.mode == "wrong signature" {
		line[len(line)-10] ^= 1
	}
	switch p.mode {
	case "stranger":
		line = p.byStranger(text)
	case "with a stranger":
		line = append(p.byStranger(text), line...)
	}
	w.Write(line)
}

// byStranger returns a valid cosignature by a key that is in no policy.
func (p *peer) byStranger(text string) []byte {
	other := newPeer(p.t, "stranger.example", nil)
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, other.signer)
	if err != nil {
		panic(err)
	}
	_, line, _ := bytes.Cut(signed, []byte("\n\n"))
	return line
}

// misbehave answers in place of an honest witness.
func (p *peer) misbehave(w http.ResponseWriter) bool {
	switch p.mode {
	case "down":
		panic(http.ErrAbortHandler)
	case "error":
		http.Error(w, "out of order", http.StatusInternalServerError)
	case "unknown log":
		http.Error(w, "unknown log", http.StatusNotFound)
	case "lying size":
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%d\n", p.asked%2)
	case "not a size":
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, "-1\n")
	case "ahead":
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, "1000000\n")
	case "redirect":
		w.Header().Set("Location", "http://elsewhere/w/add-checkpoint")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case "rubbish":
		fmt.Fprint(w, "— w1 AAAA\nhello\n\n")
	default:
		return false
	}
	return true
}

// peers answer requests by the host's name, without a network.
type peers map[string]*peer

// RoundTrip implements [http.RoundTripper].
func (ps peers) RoundTrip(r *http.Request) (response *http.Response, err error) {
	p := ps[r.URL.Hostname()]
	if p == nil {
		return nil, errors.New("no such host")
	}
	p.mu.Lock()
	mode := p.mode
	p.mu.Unlock()
	switch mode {
	case "silent":
		<-r.Context().Done()
		return nil, r.Context().Err()
	case "slow":
		time.Sleep(250 * time.Millisecond)
	case "endless":
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(&endless{t: p.t}), Request: r}, nil
	}
	defer func() {
		if recover() != nil {
			err = errors.New("connection reset")
		}
	}()
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// An endless answer never ends, and fails the test of who reads on and on.
type endless struct {
	t    *testing.T
	read int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.read += len(b); e.read > 1<<20 {
		e.t.Error("more than 1 MiB of an answer was read")
		return 0, io.EOF
	}
	return len(b), nil
}

// A world is a log with witnesses, in a bubble of fake time.
type world struct {
	t      *testing.T
	dir    *disk.Mem
	keys   *tree.Keys
	peers  peers
	policy *proof.Policy
	list   records

	tree *tree.Tree
	w    *witness.Witnesses
	end  func() error // how both ended
}

type records [][]byte

func (r *records) Size() journal.Seq { return journal.Seq(len(*r)) }
func (r *records) Read(from journal.Seq, limit int) (list []journal.Record, _ error) {
	for seq := from; seq < r.Size() && len(list) < limit; seq++ {
		list = append(list, journal.Record{Seq: seq, Body: (*r)[seq]})
	}
	return list, nil
}

func newWorld(t *testing.T, quorum string, names ...string) *world {
	t.Helper()
	keys, err := tree.GenerateKeys("log.example")
	if err != nil {
		t.Fatal(err)
	}
	x := &world{t: t, dir: new(disk.Mem), keys: keys, peers: make(peers)}
	var text strings.Builder
	for _, name := range names {
		p := newPeer(t, name, keys)
		x.peers[name] = p
		fmt.Fprintf(&text, "witness %s %s http://%s/w/\n", name, p.vkey, name)
	}
	fmt.Fprintf(&text, "group g %s %s\nquorum g\n", quorum, strings.Join(names, " "))
	if x.policy, err = proof.ParsePolicy([]byte(text.String())); err != nil {
		t.Fatal(err)
	}
	return x
}

// start starts log and witnesses.
func (x *world) start() {
	x.t.Helper()
	entryOf := func(body []byte) (event.Entry, error) { return event.Commitment(sha256.Sum256(body)).Entry(), nil }
	treeDir, _ := x.dir.Sub("tree")
	witnessDir, _ := x.dir.Sub("witness")
	var err error
	x.tree, err = tree.Open(x.t.Context(), tree.Config{
		Dir: treeDir, Head: tree.FileHead(treeDir), Keys: x.keys, Records: &x.list,
		EntryOf: entryOf, Log: slog.New(slog.DiscardHandler), Witnessed: true,
	})
	if err != nil {
		x.t.Fatalf("tree: %v", err)
	}
	x.w, err = witness.Open(witness.Config{
		Tree: x.tree, Policy: x.policy, Dir: witnessDir,
		Client: &http.Client{Transport: x.peers}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		x.t.Fatalf("witness: %v", err)
	}
	ctx, cancel := context.WithCancel(x.t.Context())
	ended := make(chan error, 2)
	go func() { ended <- x.tree.Run(ctx) }()
	go func() { ended <- x.w.Run(ctx) }()
	x.end = func() error {
		cancel()
		return errors.Join(<-ended, <-ended)
	}
	x.feed()
}

func (x *world) stop() {
	x.t.Helper()
	if err := x.end(); err != nil {
		x.t.Errorf("Run: %v", err)
	}
}

// add adds n records and lets everything settle for a while.
func (x *world) add(n int, settle time.Duration) {
	x.t.Helper()
	for range n {
		x.list = append(x.list, fmt.Appendf(nil, "body %d", len(x.list)))
	}
	x.feed()
	time.Sleep(settle)
	synctest.Wait()
}

func (x *world) feed() {
	x.t.Helper()
	some, _ := x.list.Read(x.tree.Cursor(), len(x.list))
	if err := x.tree.Apply(x.t.Context(), some); err != nil {
		x.t.Fatalf("Apply: %v", err)
	}
}

// public returns what a reader with the policy sees.
func (x *world) public() *proof.Checkpoint {
	x.t.Helper()
	policy, err := x.policy.WithLogs(x.keys.Verifiers()...)
	if err != nil {
		x.t.Fatal(err)
	}
	c, err := policy.Check(x.tree.Checkpoint().Message)
	if err != nil {
		x.t.Fatalf("public checkpoint: %v", err)
	}
	return c
}

func (x *world) wantPublic(size int64, witnessed bool, cosignatures int) {
	x.t.Helper()
	c := x.public()
	if c.N != size || c.Witnessed != witnessed || len(c.Cosignatures) != cosignatures {
		x.t.Errorf("public is size %d, witnessed %v by %d, want %d, %v by %d",
			c.N, c.Witnessed, len(c.Cosignatures), size, witnessed, cosignatures)
	}
}

// TestAllWitnesses checks that with honest witnesses every checkpoint is
// cosigned by all soon after it was signed.
func TestAllWitnesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, "all", "w1", "w2", "w3")
		x.peers["w2"].set("with a stranger")
		x.start()
		defer x.stop()
		for i := range 20 {
			x.add(7, 300*time.Millisecond)
			x.wantPublic(int64(7*(i+1)), true, 3)
		}
		for _, s := range x.w.Status() {
			if s.Err != nil || s.Size != 140 || s.Since.IsZero() {
				t.Errorf("status %+v", s)
			}
		}
	})
}

// TestOneWitnessFails lets one of three witnesses fail in every way there is.
// With two of three asked for, nothing may be late for it.
func TestOneWitnessFails(t *testing.T) {
	for _, mode := range []string{
		"down", "silent", "error", "unknown log", "endless", "lying size", "not a size", "ahead", "redirect", "rubbish", "wrong signature", "stranger",
	} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newWorld(t, "2", "w1", "w2", "w3")
				x.peers["w2"].set(mode)
				x.peers["elsewhere"] = newPeer(t, "elsewhere", x.keys)
				x.start()
				defer x.stop()
				x.add(5, time.Second)
				for i := range 10 {
					x.add(5, 300*time.Millisecond)
					x.wantPublic(int64(5*(i+2)), true, 2)
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if s := x.w.Status()[1]; s.Err == nil || mode == "ahead" && !errors.Is(s.Err, witness.ErrAhead) {
					t.Errorf("status of the failing witness is %+v", s)
				}
				if asked := x.peers["w2"].asked; asked > 20 {
					t.Errorf("the failing witness was asked %d times in some 14 s", asked)
				}
				if x.peers["elsewhere"].asked != 0 {
					t.Error("a redirect was followed")
				}
				x.peers["w2"].set("")
				time.Sleep(time.Minute)
				x.add(1, time.Second)
				x.wantPublic(56, true, 3)
			})
		})
	}
}

// TestFailingWitnessIsNotWaitedFor checks how soon a checkpoint is witnessed
// while one witness takes its time and then fails: as soon as without it.
func TestFailingWitnessIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, "2", "w1", "w2", "w3")
		x.peers["w2"].set("silent")
		x.start()
		defer x.stop()
		x.add(1, 6*time.Second) // it failed once
		for i := range 150 {
			x.add(1, tree.SignInterval+10*time.Millisecond)
			x.wantPublic(int64(i+2), true, 2)
		}
	})
}

// TestNoQuorum checks what is public while too few witnesses answer: the last
// witnessed checkpoint for as long as it is recent, then the newest signed;
// and that the size never shrinks, also when they come back.
func TestNoQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, "all", "w1", "w2")
		x.start()
		defer x.stop()
		x.add(5, time.Second)
		x.wantPublic(5, true, 2)
		x.peers["w1"].set("down")

		x.add(5, time.Second)
		x.wantPublic(5, true, 2)
		x.add(5, witness.MaxBehind-2*time.Second)
		x.wantPublic(5, true, 2)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if c := x.public(); c.N != 15 || c.Witnessed {
			t.Errorf("after %v public is size %d, want 15", witness.MaxBehind, c.N)
		}
		x.add(5, time.Second)
		if c := x.public(); c.N != 20 {
			t.Errorf("still without witnesses public is size %d, want 20", c.N)
		}
		x.peers["w1"].set("slow") // what it cosigns is older than what is public by then
		last := int64(20)
		for range 200 {
			x.add(1, 100*time.Millisecond)
			if c := x.public(); c.N < last {
				t.Fatalf("public size went from %d to %d", last, c.N)
			} else {
				last = c.N
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		x.wantPublic(220, true, 2)
	})
}

// TestNobodyAtFirst checks that a new log whose witnesses are down has a
// public checkpoint all the same.
func TestNobodyAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, "any", "w1")
		x.peers["w1"].set("silent")
		x.start()
		defer x.stop()
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if x.tree.Checkpoint().Message == nil {
			t.Error("no checkpoint is public")
		}
	})
}

// TestRestart stops and starts log and witnesses, with a power cut between.
// The witnessed checkpoint stays public, with its cosignatures, even while no
// witness answers, and no witness is asked with a wrong size.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, "all", "w1", "w2")
		x.start()
		x.add(9, time.Second)
		x.wantPublic(9, true, 2)
		x.stop()
		x.dir = x.dir.Crash(func(int) int { return 0 })
		x.peers["w1"].set("down")
		x.peers["w2"].set("down")
		x.start()
		x.wantPublic(9, true, 2)
		x.add(0, 2*witness.MaxBehind)
		x.wantPublic(9, true, 2)
		x.peers["w1"].set("")
		x.peers["w2"].set("")
		x.add(3, time.Minute)
		x.wantPublic(12, true, 2)
		x.stop()

		// Without what was remembered, the witnesses say it themselves.
		witnessDir, _ := x.dir.Sub("witness")
		if err := witnessDir.Remove("witness.json"); err != nil {
			t.Fatal(err)
		}
		x.start()
		defer x.stop()
		x.add(3, time.Second)
		x.wantPublic(15, true, 2)
	})
}

// TestKeyRotation checks that a log that changes its key has its checkpoint
// cosigned again with the new signature.
func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, "all", "w1", "w2")
		x.start()
		defer x.stop()
		x.add(5, time.Second)
		both, err := x.keys.Add()
		if err != nil {
			t.Fatal(err)
		}
		if err := x.tree.SetKeys(both); err != nil {
			t.Fatal(err)
		}
		x.add(0, time.Second)
		x.wantPublic(5, true, 2)
		x.keys = both
		if c := x.public(); len(c.Signers) != 2 || !c.Witnessed {
			t.Errorf("after adding a key public is signed by %v, witnessed %v", c.Signers, c.Witnessed)
		}
	})
}

// TestFailedDisk checks that nothing is public that could be forgotten, and
// that the process hears of it.
func TestFailedDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, "all", "w1")
		x.start()
		x.add(5, time.Second)
		x.dir.Fail = func(_, path string) error {
			if strings.HasPrefix(path, "witness/") {
				return disk.ErrInjected
			}
			return nil
		}
		x.add(3, time.Second)
		if c := x.public(); c.N != 5 {
			t.Errorf("public is size %d, want 5: the disk did not keep more", c.N)
		}
		if err := x.end(); !errors.Is(err, disk.ErrInjected) {
			t.Errorf("Run = %v, want the disk's error", err)
		}
	})
}
