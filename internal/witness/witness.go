// Package witness asks witnesses to cosign the log's checkpoints, and decides
// which checkpoint is public. A witness is somebody else who saw every
// checkpoint grow out of the one before and says so with a signature: with
// enough of them, the log cannot show one history to one reader and another to
// the next. It speaks the client's side of c2sp.org/tlog-witness.
//
// # Promises
//
//   - A witness that is down, slow, wrong or hostile delays nothing but its own
//     cosignature: not a submission, not a receipt, not the other witnesses, and
//     not the public checkpoint by more than [MaxBehind].
//   - What is public is the newest checkpoint that enough witnesses cosigned,
//     unless it is more than MaxBehind behind one that they did not; then the
//     newest that was signed, whatever cosignatures it has.
//   - The size of the public checkpoint never shrinks, restarts included.
//   - A cosignature is used only if it is valid, by the key the policy has for
//     the witness that was asked.
//
// # Trust
//
// The file in the directory says what was public last and how far each witness
// had come. Who can write to it can at most make the next start show an older
// checkpoint of this log, or refuse.
package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

// Limits of asking.
const (
	MaxBehind      = 10 * time.Second       // how far the public checkpoint may be behind for want of cosignatures
	requestTimeout = 5 * time.Second        // for one answer of one witness
	stragglerWait  = 500 * time.Millisecond // for more cosignatures than are needed
	firstRetry     = 1 * time.Second
	lastRetry      = 30 * time.Second
	maxAnswerBytes = 64 << 10 // 64 KiB: room for several post-quantum cosignatures
	maxAnswerLines = 16       // cosignatures looked at in one answer
	maxMoments     = 256      // signed checkpoints remembered while none is witnessed
)

// A Config is what is needed to ask witnesses.
type Config struct {
	Tree   *tree.Tree    // opened with Witnessed
	Policy *proof.Policy // its witnesses and quorum; its logs do not matter
	Dir    disk.FS       // for what must survive a restart
	Client *http.Client  // redirects are not followed
	Log    *slog.Logger
}

// Witnesses asks the witnesses of a policy. Its methods may be called
// concurrently.
type Witnesses struct {
	config  Config
	members []*member
	results chan result

	// Used by Run only.
	now       tree.Signed // the checkpoint that is being cosigned
	lines     [][]byte    // cosignatures of now by member, nil where there is none
	witnessed []byte      // the newest checkpoint that reached the quorum
	reachedAt time.Time   // when it did
	signed    []moment    // checkpoints signed after it, oldest first
}

// A moment is when a checkpoint was signed.
type moment struct {
	size    int64
	message string
	at      time.Time
}

// A Status says how a witness does.
type Status struct {
	Name  string    // in the policy
	URL   string    // where it is asked
	Size  int64     // of the largest checkpoint it is known to have seen
	Err   error     // how the last try failed, nil if it did not
	Since time.Time // since when it works, or does not; zero before the first try
}

// A member is one witness and how it does.
type member struct {
	index   int
	witness proof.Witness
	asked   chan tree.Signed // takes one checkpoint while the member is idle

	// Used by Run only.
	busy    string    // the checkpoint that the member is asked about, "" if idle
	retryAt time.Time // not to be asked before
	retry   time.Duration

	mu     sync.Mutex
	status Status
}

// Open returns the Witnesses of config, which make public at once what was
// public before the restart.
func Open(config Config) (*Witnesses, error) {
	client := *config.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	config.Client = &client
	w := &Witnesses{config: config}
	kept, err := loadState(config.Dir)
	if err != nil {
		return nil, err
	}
	for i, witness := range config.Policy.Witnesses() {
		m := &member{index: i, witness: witness, asked: make(chan tree.Signed, 1)}
		m.status = Status{Name: witness.Name, URL: witness.URL, Size: kept.Sizes[witness.Key]}
		if witness.URL == "" {
			m.status.Err = errors.New("witness: the policy has no address for it")
		}
		w.members = append(w.members, m)
	}
	w.results = make(chan result, len(w.members))
	w.lines = make([][]byte, len(w.members))
	if kept.Public != "" {
		if err := w.resume([]byte(kept.Public)); err != nil {
			return nil, fmt.Errorf("witness: the checkpoint that was public last: %w", err)
		}
	}
	return w, nil
}

// resume makes public again what was public before the restart.
func (w *Witnesses) resume(public []byte) error {
	if err := w.config.Tree.Publish(public); err != nil {
		return err
	}
	policy, err := w.config.Policy.WithLogs(w.config.Tree.Keys().Verifiers()...)
	if err != nil {
		return err
	}
	if c, err := policy.Check(public); err == nil && c.Witnessed {
		w.witnessed = public
	}
	return nil
}

// Status returns how each witness does, in the order of the policy.
func (w *Witnesses) Status() []Status {
	list := make([]Status, 0, len(w.members))
	for _, m := range w.members {
		m.mu.Lock()
		list = append(list, m.status)
		m.mu.Unlock()
	}
	return list
}

// Run asks for cosignatures until ctx ends, and then returns nil. An error
// means that what is public could not be kept; the process must end.
func (w *Witnesses) Run(ctx context.Context) error {
	inside, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for _, m := range w.members {
		if m.witness.URL != "" {
			group.Go(func() { w.serve(inside, m) })
		}
	}
	news := make(chan tree.Signed)
	group.Go(func() { w.watch(inside, news) })

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case signed := <-news:
			w.note(signed)
		case r := <-w.results:
			w.take(ctx, r)
		case <-timer.C:
		}
		if err := w.step(ctx); err != nil {
			return err
		}
		timer.Reset(time.Until(w.wakeAt()))
	}
}

// watch sends every newly signed checkpoint that it gets to see.
func (w *Witnesses) watch(ctx context.Context, news chan<- tree.Signed) {
	var last tree.Signed
	for w.config.Tree.WaitNewer(ctx, last) == nil {
		last = w.config.Tree.Latest()
		select {
		case news <- last:
		case <-ctx.Done():
		}
	}
}

// note remembers when a checkpoint was signed.
func (w *Witnesses) note(signed tree.Signed) {
	if bytes.HasPrefix(w.witnessed, signed.Message) {
		return // before a restart
	}
	w.signed = append(w.signed, moment{size: signed.N, message: string(signed.Message), at: time.Now()})
	if len(w.signed) > maxMoments { // the first stays: it says how far behind we are
		w.signed = append(w.signed[:1], w.signed[2:]...)
	}
}
