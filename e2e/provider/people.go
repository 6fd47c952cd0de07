package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/server/signer"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"golang.org/x/crypto/bcrypt"
)

// What the provider and whoever is tested with it have agreed on.
const (
	clientID     = "custody"
	clientSecret = "a secret for tests"
	password     = "correct horse" // of everybody
)

// A person can sign in, with the password that all have.
type person struct {
	Email  string // what they type
	Name   string
	User   string // their ID in the registry: the claim preferred_username
	Groups []string
}

// people are all there are.
var people = []person{
	{Email: "admin@example.com", Name: "registry security", User: "admin-7", Groups: []string{"custody-admins", "staff"}},
	{Email: "auditor@example.com", Name: "registry audit", User: "auditor-1", Groups: []string{"custody-auditors"}},
	{Email: "alice@example.com", Name: "alice", User: "user-alice", Groups: nil},
}

// newProvider returns dex, which sends people back to redirect, until ctx ends.
func newProvider(ctx context.Context, issuer, redirect string) (http.Handler, error) {
	log := slog.New(slog.DiscardHandler)
	store := memory.New(log)
	if err := store.CreateClient(ctx, storage.Client{
		ID: clientID, Secret: clientSecret, RedirectURIs: []string{redirect}, Name: "Custody",
	}); err != nil {
		return nil, err
	}
	if err := store.CreateConnector(ctx, storage.Connector{
		ID: server.LocalConnector, Type: server.LocalConnector, Name: "Password", ResourceVersion: "1",
	}); err != nil {
		return nil, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return nil, err
	}
	for _, p := range people {
		if err := store.CreatePassword(ctx, storage.Password{
			Email: p.Email, Hash: hash, Username: p.Name, Name: p.Name, PreferredUsername: p.User,
			UserID: "id-of-" + p.User, Groups: p.Groups,
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Email, err)
		}
	}
	keys, err := (&signer.LocalConfig{KeysRotationPeriod: "6h"}).Open(ctx, store, time.Hour, time.Now, log)
	if err != nil {
		return nil, err
	}
	return server.NewServer(ctx, server.Config{
		Issuer: issuer, Storage: store, SkipApprovalScreen: true, IDTokensValidFor: time.Hour,
		Logger: log, Signer: keys,
	})
}
