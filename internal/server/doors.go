package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/internal/console"
)

// Limits of the doors.
const (
	drain             = 10 * time.Second // how long open requests may take to finish after the doors close
	headerTimeout     = 5 * time.Second
	bodyTimeout       = 2 * time.Minute // for a batch over a slow line
	answerTimeout     = time.Minute     // more than a receipt may be waited for; a tail sets its own
	keepAliveTimeout  = 2 * time.Minute
	maxRequestHeaders = 64 << 10
)

// serve answers requests until ctx or inside ends, then lets the open ones
// finish.
func (s *Server) serve(ctx, inside context.Context) error {
	door := &http.Server{
		Handler:           s.handler(), //nolint:contextcheck // pages have the context of their requests
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       keepAliveTimeout,
		MaxHeaderBytes:    maxRequestHeaders,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug), // clients' broken connections
	}
	doors := []open{{door, s.cfg.Listen}}
	for _, p := range s.proxies {
		doors = append(doors, open{p.proxy.Server(), p.listen})
	}
	return serveDoors(ctx, inside, doors, func() { close(s.stopping) })
}

// ServeDoor serves one door until ctx or inside ends, and then lets open
// requests finish.
func ServeDoor(ctx, inside context.Context, server *http.Server, listen net.Listener) error {
	return serveDoors(ctx, inside, []open{{server, listen}}, func() {})
}

// serveDoors serves until ctx or inside ends, calls stopping, and lets open
// requests finish.
func serveDoors(ctx, inside context.Context, doors []open, stopping func()) error {
	failed := make(chan error, len(doors))
	for _, d := range doors {
		go func() { failed <- d.server.Serve(d.listen) }()
	}
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("server: %w", err)
	case <-inside.Done():
	case <-ctx.Done():
	}
	stopping()
	return errors.Join(err, shutdown(ctx, doors))
}

// An open is a door and where it listens.
type open struct {
	server *http.Server
	listen net.Listener
}

// shutdown closes the doors and waits for open requests.
func shutdown(ctx context.Context, doors []open) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	var g errgroup.Group
	for _, d := range doors {
		g.Go(func() error {
			if err := d.server.Shutdown(ctx); err != nil {
				return d.server.Close() // what is still open is cut off
			}
			return nil
		})
	}
	return g.Wait()
}

// handler joins the doors that share the main address.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.api().Handler())
	pages := s.console().Handler()
	for _, pattern := range console.Patterns() {
		mux.Handle(pattern, pages)
	}
	return mux
}
