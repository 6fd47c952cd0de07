package console

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/tree"
)

// An eventPage is what templates/event.html shows.
type eventPage struct {
	Event  *row
	Notes  []string // what the visitor should know of what is not there
	Signed bool     // a checkpoint covers it
	Reveal *revealing
}

// event shows all of one event.
func (c *Console) event(v *visit) (any, error) {
	seq, err := seqOf(v.PathValue("seq"))
	if err != nil {
		return nil, err
	}
	r, until := c.clearEvent(v, seq)
	e, err := c.Room.Event(v.Context(), r, seq)
	if err != nil {
		return nil, err
	}
	p := &eventPage{Event: c.rowOf(e), Signed: int64(seq) < c.Tree.Latest().N}
	if p.Event.Partial != "" {
		p.Notes = append(p.Notes, p.Event.Partial)
	}
	if n := len(e.Erased); n > 0 {
		p.Notes = append(p.Notes, dossier.ErasedNote(n).Text)
	}
	if n := len(e.Masked); n > 0 {
		p.Notes = append(p.Notes, dossier.MaskedNote(n).Text)
	}
	if v.Staff() {
		p.Notes = append(p.Notes, c.holds(e)...)
	}
	if p.Event.Masked || !until.IsZero() {
		p.Reveal = c.revealing(v, until)
	}
	return p, nil
}

// holds says whether a hold keeps an event, as far as what is shown of it tells.
func (c *Console) holds(e *reading.Shown) []string {
	if c.Room.Keeper == nil {
		return nil
	}
	held := c.Room.Keeper.Held()
	if held == nil || !held(e.Fields) {
		return nil
	}
	return []string{"A hold keeps this event, whatever policies and erasures say, until it is lifted."}
}

// receipt answers with the evidence for one event, as far as the visitor sees it.
func (c *Console) receipt(w http.ResponseWriter, v *visit) error {
	seq, err := seqOf(v.PathValue("seq"))
	if err != nil {
		return err
	}
	r, _ := c.clearEvent(v, seq)
	// Whether there is a proof yet is told only of what is there for the visitor.
	if _, err := c.Room.Event(v.Context(), r, seq); err != nil {
		return err
	}
	p, err := c.Tree.Prove(seq)
	if errors.Is(err, tree.ErrNotYet) {
		return &state{
			Status: http.StatusNotFound, Title: "Not signed yet",
			Sentence: "No signed checkpoint covers this event yet.", Hint: "One will within a second or two: reload.",
		}
	}
	if err != nil {
		return err
	}
	text, err := c.Room.Receipt(v.Context(), r, seq, p)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="event-%d.receipt"`, seq))
	h.Set("Cache-Control", "no-store")
	w.Write(text)
	return nil
}
