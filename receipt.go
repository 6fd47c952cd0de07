package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/proof"
)

// receiptWait is how long the log is asked to wait for a checkpoint that
// covers an event before it says that there is none yet.
const receiptWait = 20 * time.Second

// A Receipt is the evidence for one event. It was checked before the client
// returned it.
type Receipt struct {
	*proof.Verified

	// Text is the receipt as a file to keep: with the log's public key it can
	// be checked for ever, by anybody, without the log. See [proof.ParseReceipt].
	Text []byte
}

// ErrNoKey means that the client cannot check what the log says, because it
// does not know the log's public key.
var ErrNoKey = errors.New("the log's public key is not known: ask whoever runs the log for it, " +
	"compare it with the one the log states under keys in /v1/log, and give it to custody.New with custody.WithLogKey")

// Receipt returns the evidence for the event at seq. It waits for the first
// checkpoint that covers the event, and with a policy that names witnesses for
// their cosignatures. What does not prove exactly that event to the client's
// policy, or contradicts a checkpoint that the client saw earlier, is an error.
func (c *Client) Receipt(ctx context.Context, seq int64) (*Receipt, error) {
	r, err := c.receipt(ctx, seq)
	if err != nil {
		return nil, fmt.Errorf("custody: receipt of event %d: %w", seq, err)
	}
	return r, nil
}

// RecordAndProve records e as [Client.Record] does, and returns the evidence
// that the log holds exactly e, as it was sent. When recording succeeded but
// no evidence could be had, the Ack is there beside the error.
func (c *Client) RecordAndProve(ctx context.Context, e Event) (Ack, *Receipt, error) {
	if c.policy == nil {
		return Ack{ID: e.ID, Seq: -1}, nil, fmt.Errorf("custody: record and prove: %w", ErrNoKey)
	}
	ack, sent, err := c.record(ctx, e)
	if err != nil {
		return ack, nil, err
	}
	r, err := c.receipt(ctx, ack.Seq)
	if err == nil {
		err = compareSent(sent, r.Verified)
	}
	if err == nil && r.Commitment != ack.Commitment {
		err = errors.New("it proves another commitment than the one the log acknowledged")
	}
	if err != nil {
		return ack, nil, fmt.Errorf("custody: receipt of event %d: %w", ack.Seq, err)
	}
	return ack, r, nil
}

func (c *Client) receipt(ctx context.Context, seq int64) (*Receipt, error) {
	if c.policy == nil {
		return nil, ErrNoKey
	}
	text, err := c.fetchReceipt(ctx, seq)
	if err != nil {
		return nil, err
	}
	parsed, err := proof.ParseReceipt(text)
	if err != nil {
		return nil, err
	}
	v, err := parsed.Verify(c.policy)
	if err != nil {
		return nil, err
	}
	if v.Seq != seq {
		return nil, fmt.Errorf("the log answered with the receipt of event %d", v.Seq)
	}
	if err := c.remember(ctx, v.Checkpoint, parsed.Proof.Checkpoint); err != nil {
		return nil, err
	}
	return &Receipt{Verified: v, Text: text}, nil
}

// fetchReceipt returns the log's text, unchecked.
func (c *Client) fetchReceipt(ctx context.Context, seq int64) ([]byte, error) {
	path := fmt.Sprintf("/v1/events/%d/receipt?wait=%v", seq, receiptWait)
	r := &request{method: http.MethodGet, path: path, wait: receiptWait, limit: proof.MaxProofBytes}
	if len(c.policy.Witnesses()) > 0 {
		r.path += "&witnessed=true"
	}
	started := time.Now()
	for retry := firstRetry; ; retry = min(2*retry, maxRetry) {
		var text []byte
		err := c.ask(ctx, r, &text)
		e := problem(err)
		if e != nil && e.Type == problemNoWitnesses && r.path != path {
			r.path = path // the policy may know witnesses and ask for none
			continue
		}
		if e == nil || e.Type != problemNotYet {
			return text, err
		}
		pause := jitter(retry)
		if time.Since(started)+pause > c.patience {
			return nil, fmt.Errorf("gave up after %v: %w", time.Since(started).Round(time.Millisecond), err)
		}
		if !sleep(ctx, pause) {
			return nil, fmt.Errorf("%w, after: %w", ctx.Err(), err)
		}
	}
}

// addedByLog are the fields that the log adds to what a source sent.
var addedByLog = []string{"received", "source", "trust"}

// compareSent checks that what was proved is what was sent. Fields that the
// receipt does not show to this reader cannot be compared, only counted.
func compareSent(sent event.Fields, proved *proof.Verified) error {
	hidden := 0
	for i := range sent {
		want := &sent[i]
		got, shown := proved.Fields.Get(want.Name)
		switch {
		case !shown && (want.Name == "id" || want.Name == "tag" || want.Name == "time"):
			return fmt.Errorf("it does not show %s, so it could be of any event", want.Name)
		case !shown:
			hidden++
		case got.Type != want.Type || !bytes.Equal(got.Value, want.Value):
			return fmt.Errorf("it proves another %s than was sent: %s", want.Name, shorten(got.Text()))
		}
	}
	for i := range proved.Fields {
		name := proved.Fields[i].Name
		if _, ours := sent.Get(name); !ours && !slices.Contains(addedByLog, name) {
			return fmt.Errorf("it proves a %s that was not sent", name)
		}
	}
	if hidden > proved.Hidden {
		return fmt.Errorf("%d of the fields that were sent are missing", hidden-proved.Hidden)
	}
	return nil
}
