package console

import (
	"encoding/base64"
	"net/http"
	"time"

	"github.com/custody-log/custody/internal/dossier"
	"github.com/custody-log/custody/internal/retain"
)

// A logPage is what templates/log.html shows.
type logPage struct {
	*dossier.Log

	Checkpoint string   // the signed text; "" before the first
	Root       string   // of the tree that it is over, base64
	Signed     int64    // records that it is over
	Unsigned   int64    // records that it is not over yet
	Keys       []string // the log's public keys

	InForce []retain.Hold // of Holds
	Past    int           // holds that are not in force any more
}

// LogHandler returns the page about the log itself, GET /log: what state it is
// in, and who looked at what. The public is shown its size and what is signed.
// It is called after [Console.Handler].
func (c *Console) LogHandler(s dossier.Stater) http.Handler {
	page := c.thing(func(v *visit) (any, error) { return c.logPage(v, s) }, "log.html")
	mux := http.NewServeMux()
	mux.Handle("GET /log", page)
	return secure(mux)
}

func (c *Console) logPage(v *visit, s dossier.Stater) (*logPage, error) {
	q := c.inquire(v)
	d, err := dossier.NewLog(v.Context(), q, q.reader, s, q.options())
	if err != nil {
		return nil, err
	}
	signed := c.Tree.Checkpoint()
	p := &logPage{
		Log: d, Checkpoint: string(signed.Message), Signed: signed.N,
		Unsigned: max(0, int64(d.Size)-signed.N), Keys: c.Keys().Verifiers(),
	}
	if signed.Message != nil {
		p.Root = base64.StdEncoding.EncodeToString(signed.Hash[:])
	}
	now := time.Now()
	for _, h := range d.Holds {
		if h.Active(now) {
			p.InForce = append(p.InForce, h)
		}
	}
	p.Past = len(d.Holds) - len(p.InForce)
	return p, nil
}

// Behind returns how far the view is behind that is so most.
func (p *logPage) Behind() int64 {
	var most int64
	for _, view := range p.Views {
		most = max(most, int64(view.Lag))
	}
	return most
}
