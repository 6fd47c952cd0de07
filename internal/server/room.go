package server

import (
	"context"
	"time"

	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
)

// openRoom comes after all that knows events.
func (s *Server) openRoom(context.Context) error {
	s.room = &reading.Room{
		Store: s.store, Journal: s.journal, Tree: s.tree, Desk: s.desk, Keeper: s.keeper, Catalogue: s.cfg.Catalogue,
		Policy:      &reader.Policy{Catalogue: s.cfg.Catalogue, Derive: s.derive()},
		RevealDelay: time.Duration(s.cfg.File.Readers.RevealDelay),
	}
	return nil
}
