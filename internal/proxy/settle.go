package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/custody-log/custody/event"
)

const (
	// maxHistory bounds how far settle walks back. Intents say how far it
	// must, so it is reached only where nothing but reads was recorded for long.
	maxHistory = 1_000_000 // events

	// settleSlack is how far the order of intents in the log may differ from
	// their times. It is more than [recordTimeout].
	settleSlack = time.Minute

	reasonRestart = "The audit proxy stopped before it heard how this ended."
)

// An act is what an intent keeps of the event that it announces.
type act struct {
	Subjects []event.Subject `json:"subjects,omitempty"`
	Changes  []event.Change  `json:"changes,omitempty"`
	Metadata map[string]any  `json:"metadata,omitempty"`
}

// maxActBytes bounds the JSON of an act, so that an intent always fits.
const maxActBytes = 8 << 10 // 8 KiB

// packAct returns what must be kept of e to say it again after a crash.
func packAct(e *event.Event) act {
	c := *e
	bound(&c)
	a := act{c.Subjects, c.Changes, c.Metadata}
	if data, err := json.Marshal(a); err != nil || len(data) > maxActBytes {
		return act{Subjects: c.Subjects[:min(len(c.Subjects), 2)]}
	}
	return a
}

// settle ends the intents that an earlier run left open: what they announced
// is recorded with the outcome unknown. It returns how many there were. Doing
// it again changes nothing: what it records has an ID made from the intent's.
func (p *Proxy) settle(ctx context.Context) (int, error) {
	open, err := p.leftOpen(ctx)
	if err != nil {
		return 0, fmt.Errorf("proxy: settle: history: %w", err)
	}
	for i, intent := range open {
		e, err := outcomeUnknown(intent)
		if err != nil {
			return i, fmt.Errorf("proxy: settle: intent %s: %w", intent.ID, err)
		}
		if err := p.record(ctx, e); err != nil {
			return i, fmt.Errorf("proxy: settle: intent %s: %w", intent.ID, err)
		}
	}
	return len(open), nil
}

// leftOpen returns the intents of earlier runs that have no end, newest first.
func (p *Proxy) leftOpen(ctx context.Context) ([]*event.Event, error) {
	var open []*event.Event
	var horizon time.Time // no older intent is open
	ended := make(map[string]bool)
	seen := 0
	for e, err := range p.cfg.Recorder.History(ctx) {
		if err != nil {
			return nil, err
		}
		if seen++; seen > maxHistory {
			p.cfg.Log.WarnContext(ctx, "looked for open intents no further back", "events", maxHistory, "time", e.Time)
			break
		}
		late := e.Metadata["late"] == true
		switch {
		case e.Tag == tagStart:
			return open, nil
		case e.Tag != tagIntent:
			ended[e.Context.RequestID] = true
			continue
		case !late && e.Time.Add(settleSlack).Before(horizon):
			return open, nil
		case e.Metadata["run"] != p.run && !ended[e.Context.RequestID]:
			open = append(open, e)
		}
		text, _ := e.Metadata["open_since"].(string)
		if since, err := time.Parse(time.RFC3339Nano, text); err == nil && !late && since.After(horizon) {
			horizon = since
		}
	}
	return open, nil
}

// outcomeUnknown returns the event that intent announced, as far as it was
// known then.
func outcomeUnknown(intent *event.Event) (*event.Event, error) {
	packed, err := json.Marshal(intent.Metadata["act"])
	if err != nil {
		return nil, err
	}
	var a act
	if err := json.Unmarshal(packed, &a); err != nil {
		return nil, err
	}
	tag, _ := intent.Metadata["tag"].(string)
	return &event.Event{
		ID:         intent.ID + "-unknown",
		Tag:        tag,
		Time:       intent.Time,
		Outcome:    event.Unknown,
		Actor:      intent.Actor,
		Credential: intent.Credential,
		OIDC:       intent.OIDC,
		Context:    intent.Context,
		Subjects:   a.Subjects,
		Changes:    a.Changes,
		Metadata:   a.Metadata,
		Reason:     reasonRestart,
	}, nil
}
