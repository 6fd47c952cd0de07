package server

import (
	"context"

	"github.com/custody-log/custody/internal/dossier"
)

// Facts implements [dossier.Stater].
func (s *Server) Facts(context.Context) (dossier.Facts, error) {
	size, latest := s.journal.Size(), s.tree.Latest()
	f := dossier.Facts{
		Origin: s.signing.Origin(), Version: s.cfg.Version, Started: s.started,
		Size: size, CheckpointSize: latest.N, CheckpointTime: s.tree.SignedAt(),
		Sources: s.desk.Sources(), Trouble: append(s.store.Trouble(), s.trouble()...),
		Policies: s.keeper.Policies(), Holds: s.keeper.Holds(), Erasures: s.keeper.Erasures(),
	}
	for _, v := range s.views() {
		cursor := v.Cursor()
		f.Views = append(f.Views, dossier.View{Name: v.Name(), Cursor: cursor, Lag: max(0, size-cursor)})
	}
	if s.witness != nil {
		for _, w := range s.witness.states() {
			f.Witnesses = append(f.Witnesses, dossier.Witness{Name: w.Name, Size: w.Size, Time: w.Time, Error: w.Error})
		}
	}
	return f, nil
}

var _ dossier.Stater = (*Server)(nil)
