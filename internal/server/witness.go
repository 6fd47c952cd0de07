package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/witness"
	"github.com/custody-log/custody/proof"
)

// A cosigning is the log's side of its witnesses.
type cosigning struct {
	*witness.Witnesses

	server *Server
	policy *proof.Policy
}

// openWitness gets ready to ask the witnesses of the policy, if there is one.
func (s *Server) openWitness(context.Context) error {
	if s.cfg.Policy == nil {
		return nil
	}
	dir, err := s.cfg.Data.Sub("witness")
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	w, err := witness.Open(witness.Config{
		Tree: s.tree, Policy: s.cfg.Policy, Dir: dir, Client: new(http.Client), Log: s.cfg.Log,
	})
	if err != nil {
		return err
	}
	s.witness = &cosigning{Witnesses: w, server: s, policy: s.cfg.Policy}
	return nil
}

// Run asks until ctx ends.
func (c *cosigning) Run(ctx context.Context) error { return c.server.note(c.Witnesses.Run(ctx)) }

// witnessed reports whether a checkpoint of this log reaches the quorum. The
// log's own keys may be newer than those in the policy.
func (c *cosigning) witnessed(checkpoint []byte) bool {
	policy, err := c.policy.WithLogs(c.server.tree.Keys().Verifiers()...)
	if err != nil {
		return false
	}
	opened, err := proof.OpenCheckpoint(checkpoint, policy)
	return err == nil && opened.Witnessed
}

// states returns the state of each witness as the API shows it.
func (c *cosigning) states() []api.Witness {
	var list []api.Witness
	for _, s := range c.Status() {
		w := api.Witness{Name: s.Name, Size: s.Size, Time: s.Since}
		if s.Err != nil {
			w.Error = s.Err.Error()
		}
		list = append(list, w)
	}
	return list
}
