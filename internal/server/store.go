package server

import (
	"context"
	"fmt"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/store"
)

func (s *Server) openStore(context.Context) error {
	dir, err := s.cfg.Data.Sub("store")
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.store, err = store.Open(store.Config{
		Dir: dir, Log: s.cfg.Log, Family: s.cfg.Catalogue.RetentionOf, Derive: s.derive(),
		Limit: s.keeper.Limit, Held: s.keeper.Held,
	})
	return err
}

// derive returns what answers derive from events.
func (s *Server) derive() *query.Derive {
	return &query.Derive{
		Severity: func(tag string) string { return string(s.cfg.Catalogue.SeverityOf(tag)) },
		Country:  s.cfg.Country,
	}
}
