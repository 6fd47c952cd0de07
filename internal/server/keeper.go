package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/custody-log/custody/internal/keeper"
	"github.com/custody-log/custody/internal/retain"
)

// openKeeper comes before the store and the desk, which ask it.
func (s *Server) openKeeper(context.Context) error {
	dir, err := s.cfg.Data.Sub("retain")
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.keeper, err = keeper.Open(keeper.Config{
		Dir: dir, Retention: s.cfg.File.Config, Catalogue: s.cfg.Catalogue, Derive: s.derive(), Log: s.cfg.Log,
	})
	return err
}

// connectKeeper comes after them.
func (s *Server) connectKeeper(context.Context) error {
	s.keeper.Connect(keeper.Parts{Journal: s.journal, Store: s.store, Desk: s.desk, Forget: s.forget})
	return nil
}

// forget makes the proxies forget somebody who is erased.
func (s *Server) forget(ctx context.Context, p retain.Person) error {
	if p.Type != "user" {
		return nil
	}
	var errs []error
	for _, g := range s.proxies {
		for _, name := range []string{p.ID, p.Name} {
			if name != "" {
				errs = append(errs, g.proxy.Forget(ctx, name))
			}
		}
	}
	return errors.Join(errs...)
}
