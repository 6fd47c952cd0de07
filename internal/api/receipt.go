package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/proof"
)

// maxReceiptWait bounds how long a receipt can be waited for. The server's
// timeout for writing an answer must be longer.
const maxReceiptWait = 30 * time.Second

// receipt answers with the evidence that one event is in the log, of which what the
// key reads is open.
func (a *API) receipt(w http.ResponseWriter, r *http.Request, _ *auth.Key, who *reader.Reader) error {
	params, err := parameters(r, "wait", "witnessed")
	if err != nil {
		return err
	}
	var wait time.Duration
	if params.Has("wait") {
		wait, err = time.ParseDuration(params.Get("wait"))
		if err != nil || wait < 0 || wait > maxReceiptWait {
			return badRequest("wait must be a time from 0s to %v, for example 2s", maxReceiptWait)
		}
	}
	witnessed, err := flag(params.Get("witnessed"))
	if err != nil {
		return badRequest("witnessed must be true or false")
	}
	if witnessed && a.Witnessed == nil {
		return noWitnesses()
	}
	seq, err := position(r)
	if err != nil {
		return err
	}
	// Before anything is said of a proof: that one is to come tells that there is an event.
	if _, err := a.Room.Event(r.Context(), who, seq); err != nil {
		return noEvent(seq, err)
	}
	p, err := a.prove(r.Context(), seq, wait, witnessed)
	if err != nil {
		return err
	}
	text, err := a.Room.Receipt(r.Context(), who, seq, p)
	if err != nil {
		return noEvent(seq, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="event-%d.receipt"`, seq))
	w.Write(text)
	return nil
}

// noWitnesses is the problem of asking for cosignatures where there are none.
func noWitnesses() error {
	return &problem{
		Type: "/problems/no-witnesses", Title: "This log has no witnesses", Status: http.StatusConflict,
		Hint: "ask without witnessed=true",
	}
}

func flag(s string) (bool, error) {
	switch s {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, strconv.ErrSyntax
}

// prove returns the proof of seq, waiting for it if need be.
func (a *API) prove(ctx context.Context, seq journal.Seq, wait time.Duration, witnessed bool) (*proof.Proof, error) {
	if wait > 0 {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		// When the time is up without a checkpoint, Prove says so.
		if err := a.await(ctx, seq, witnessed); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
	}
	if witnessed && !a.isWitnessed(seq) {
		return nil, notYet("no witnessed checkpoint covers this event yet", "try again in a few seconds, or wait with ?wait=30s")
	}
	p, err := a.Tree.Prove(seq)
	if errors.Is(err, tree.ErrNotYet) {
		return nil, notYet("no signed checkpoint covers this event yet", "try again in a second, or wait with ?wait=2s")
	}
	return p, err
}

// await waits until a checkpoint covers seq.
func (a *API) await(ctx context.Context, seq journal.Seq, witnessed bool) error {
	if !witnessed {
		return a.Tree.WaitFor(ctx, seq)
	}
	tick := time.NewTicker(tree.SignInterval)
	defer tick.Stop()
	for !a.isWitnessed(seq) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// isWitnessed reports whether the public checkpoint covers seq and is
// witnessed.
func (a *API) isWitnessed(seq journal.Seq) bool {
	public := a.Tree.Checkpoint()
	return int64(seq) < public.N && a.Witnessed(public.Message)
}

// A head is a checkpoint in parts.
type head struct {
	Size int64  `json:"size"`
	Root []byte `json:"root"`
	Note string `json:"note"` // the signed checkpoint itself
}

func headOf(s tree.Signed) head {
	return head{Size: s.N, Root: s.Hash[:], Note: string(s.Message)}
}

// checkpoint answers with the latest signed checkpoint, and the latest
// witnessed one.
func (a *API) checkpoint(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	latest, public := a.Tree.Latest(), a.Tree.Checkpoint()
	if latest.Message == nil {
		return tree.ErrNotYet
	}
	answer := struct {
		Origin string `json:"origin"`
		head
		Witnessed *head `json:"witnessed,omitempty"`
	}{Origin: a.Tree.Keys().Origin(), head: headOf(latest)}
	if a.Witnessed != nil && public.Message != nil && a.Witnessed(public.Message) {
		witnessed := headOf(public)
		answer.Witnessed = &witnessed
	}
	return respond(w, http.StatusOK, answer)
}

// consistency answers with the proof that one tree is the start of another.
func (a *API) consistency(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	params, err := parameters(r, "from", "to")
	if err != nil {
		return err
	}
	from, err := strconv.ParseInt(params.Get("from"), 10, 64)
	if err != nil || from < 0 {
		return badRequest("from must be the size of a tree: a whole number from 0")
	}
	to := a.Tree.Latest().N
	if params.Has("to") {
		if to, err = strconv.ParseInt(params.Get("to"), 10, 64); err != nil || to < 0 {
			return badRequest("to must be the size of a tree: a whole number from 0")
		}
	}
	if latest := a.Tree.Latest().N; from > to && params.Has("to") {
		return badRequest("from %d is more than to %d", from, to)
	} else if max(from, to) > latest {
		return notYet(fmt.Sprintf("the latest checkpoint is of size %d", latest), "try again in a second")
	}
	path, err := a.Tree.Consistency(from, to)
	if err != nil {
		return err
	}
	answer := struct {
		From  int64    `json:"from"`
		To    int64    `json:"to"`
		Proof [][]byte `json:"proof"`
	}{from, to, make([][]byte, len(path))}
	for i := range path {
		answer.Proof[i] = path[i][:]
	}
	return respond(w, http.StatusOK, answer)
}
