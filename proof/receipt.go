package proof

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
)

// A Receipt is the evidence that one event is in the log, and what its holder
// may know of it. It is complete: it can be kept in a file and checked years
// later without the service. Its text is a c2sp.org/tlog-proof@v1 that carries
// the disclosure as extra.
type Receipt struct {
	Disclosure Disclosure
	Proof      Proof // Extra is the disclosure's encoding
}

// NewReceipt returns the receipt of the event that d discloses, at the position
// of p.
func NewReceipt(d Disclosure, p Proof) *Receipt {
	p.Extra = d.Encode()
	return &Receipt{Disclosure: d, Proof: p}
}

// Format returns the receipt's text.
func (r *Receipt) Format() ([]byte, error) { return FormatProof(&r.Proof) }

// ParseReceipt reads the text of a receipt. It checks the form only.
func ParseReceipt(text []byte) (*Receipt, error) {
	p, err := ParseProof(text)
	if err != nil {
		return nil, err
	}
	if p.Extra == nil {
		return nil, errors.New("proof: parse: a proof without disclosure is no receipt")
	}
	d, err := DecodeDisclosure(p.Extra)
	if err != nil {
		return nil, fmt.Errorf("proof: parse: %w", err)
	}
	return &Receipt{Disclosure: d, Proof: *p}, nil
}

// A Verified is what a receipt proves.
type Verified struct {
	Seq        int64 // the event's position in the log
	Fields     event.Fields
	Hidden     int // fields that the receipt does not show, or that were erased
	Commitment event.Commitment
	Checkpoint *Checkpoint
}

// Verify returns what r proves under policy. It fails unless the disclosed
// fields are among those that the event was recorded with, at this position, in
// the log whose checkpoint the policy accepts.
func (r *Receipt) Verify(policy *Policy) (*Verified, error) {
	commitment := r.Disclosure.Commitment()
	entry := commitment.Entry()
	checkpoint, err := r.Proof.Check(policy, tlog.RecordHash(entry[:]))
	if err != nil {
		return nil, err
	}
	v := &Verified{
		Seq:        r.Proof.Index,
		Fields:     r.Disclosure.Fields(),
		Commitment: commitment,
		Checkpoint: checkpoint,
	}
	v.Hidden = len(r.Disclosure) - len(v.Fields)
	return v, nil
}
