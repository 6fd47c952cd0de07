package witness

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// step does all there is to do now.
func (w *Witnesses) step(ctx context.Context) error {
	if latest := w.config.Tree.Latest(); latest.Message != nil && string(latest.Message) != string(w.now.Message) && w.roundOver() {
		w.now = latest
		clear(w.lines)
	}
	w.ask()
	return w.publish(ctx)
}

// roundOver reports whether asking for the present checkpoint can stop, so that
// a newer one gets its turn. No answer takes longer than requestTimeout.
func (w *Witnesses) roundOver() bool {
	if w.now.Message == nil {
		return true
	}
	reached := w.reached()
	if reached && time.Since(w.reachedAt) >= stragglerWait {
		return true
	}
	for _, m := range w.members {
		// Once there are enough, whoever failed last time is not waited for.
		if m.busy == string(w.now.Message) && (!reached || m.retry == 0) {
			return false
		}
	}
	return true
}

// reached reports whether the present checkpoint has enough cosignatures.
func (w *Witnesses) reached() bool {
	return w.now.Message != nil && bytes.HasPrefix(w.witnessed, w.now.Message)
}

// ask gives the present checkpoint to every idle witness that has not cosigned
// it.
func (w *Witnesses) ask() {
	for _, m := range w.members {
		idle := m.busy == "" && m.witness.URL != "" && !time.Now().Before(m.retryAt)
		if idle && w.now.Message != nil && w.lines[m.index] == nil {
			m.busy = string(w.now.Message)
			m.asked <- w.now // has room: the member is idle
		}
	}
}

// take takes in the answer of a witness.
func (w *Witnesses) take(ctx context.Context, r result) {
	m := r.member
	m.busy = ""
	if m.note(r) {
		if r.err != nil {
			w.config.Log.WarnContext(ctx, "witness fails, will retry", "witness", m.witness.Name, "retry", firstRetry, "err", r.err)
		} else {
			w.config.Log.InfoContext(ctx, "witness cosigns", "witness", m.witness.Name, "size", r.checkpoint.N)
		}
	}
	if r.err != nil {
		m.retry = min(max(2*m.retry, firstRetry), lastRetry)
		m.retryAt = time.Now().Add(m.retry)
		return
	}
	m.retry, m.retryAt = 0, time.Time{}
	if string(r.checkpoint.Message) == string(w.now.Message) {
		w.lines[m.index] = r.line
		w.gather(ctx)
	}
}

// note updates the status and reports whether the witness began or ceased to
// work.
func (m *member) note(r result) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Size = r.size
	turned := m.status.Since.IsZero() || (m.status.Err == nil) != (r.err == nil)
	m.status.Err = r.err
	if turned {
		m.status.Since = time.Now()
	}
	return turned
}

// gather makes the present checkpoint the newest witnessed one if it has
// enough cosignatures.
func (w *Witnesses) gather(ctx context.Context) {
	policy, err := w.config.Policy.WithLogs(w.config.Tree.Keys().Verifiers()...)
	if err != nil {
		w.config.Log.ErrorContext(ctx, "witness policy does not go with the log's keys", "err", err)
		return
	}
	msg := w.cosigned()
	c, err := policy.Check(msg)
	if err != nil {
		w.config.Log.ErrorContext(ctx, "cosigned checkpoint does not check", "err", err)
		return
	}
	if !c.Witnessed {
		return
	}
	if !w.reached() {
		w.reachedAt = time.Now()
	}
	w.witnessed = msg
	for i, m := range slices.Backward(w.signed) {
		if m.size < c.N || m.message == string(w.now.Message) {
			w.signed = w.signed[i+1:]
			break
		}
	}
}

// cosigned returns the present checkpoint with the cosignatures it has.
func (w *Witnesses) cosigned() []byte {
	msg := append([]byte(nil), w.now.Message...)
	for _, line := range w.lines {
		msg = append(msg, line...)
	}
	return msg
}

// publish makes public what the rule of this package says.
func (w *Witnesses) publish(ctx context.Context) error {
	public, latest := w.config.Tree.Checkpoint(), w.config.Tree.Latest()
	behind := len(w.signed) > 0 && time.Since(w.signed[0].at) >= MaxBehind
	var msg []byte
	switch {
	case latest.Message == nil:
		return nil
	case behind || public.Message == nil && w.witnessed == nil:
		msg = latest.Message
		if string(latest.Message) == string(w.now.Message) {
			msg = w.cosigned()
		}
	default:
		msg = w.witnessed
	}
	if msg == nil || string(msg) == string(public.Message) {
		return nil
	}
	if size, err := w.sizeOf(msg); err != nil || size < public.N {
		return err
	}
	if err := w.keep(msg); err != nil {
		return err
	}
	if err := w.config.Tree.Publish(msg); err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	w.config.Log.DebugContext(ctx, "checkpoint is public", "size", w.config.Tree.Checkpoint().N)
	return nil
}

// sizeOf returns the tree size of a checkpoint of this log.
func (w *Witnesses) sizeOf(msg []byte) (int64, error) {
	policy, err := w.config.Tree.Keys().Policy()
	if err != nil {
		return 0, fmt.Errorf("witness: %w", err)
	}
	c, err := policy.Check(msg)
	if err != nil {
		return 0, fmt.Errorf("witness: %w", err)
	}
	return c.N, nil
}

// wakeAt returns when step has something to do although nothing happens.
func (w *Witnesses) wakeAt() time.Time {
	at := time.Now().Add(lastRetry)
	sooner := func(t time.Time) {
		if t.After(time.Now()) && t.Before(at) {
			at = t
		}
	}
	if len(w.signed) > 0 {
		sooner(w.signed[0].at.Add(MaxBehind))
	}
	sooner(w.reachedAt.Add(stragglerWait))
	for _, m := range w.members {
		sooner(m.retryAt)
	}
	return at
}
