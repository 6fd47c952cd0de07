package dossier

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/store"
)

// TokenValues is how many networks, projects and kinds of events a token's page
// shows of each.
const TokenValues = 100

// A Token is what the page of a token shows. What is not a token but another
// credential, a session, has one too.
type Token struct {
	ID    string
	Name  Value
	Owner Who // whose it is; zero: not known
	Query string

	Mint  *Mint // nil: the log does not say, or not to this reader
	Ended Mark  // zero: it was not revoked, as far as the log says

	Changes []Act // how it was made, changed and revoked, newest first
	Use     Use
	Refused int64 // times it was shown and refused, of Use.Acts

	Networks Networks           // of Use.Acts, as Projects
	Projects []store.ValueCount // in which it stands, by name, most frequent first
	History  Page
}

// A Mint is how a token came to be.
type Mint struct {
	Act

	Kind        string // such as "granular"
	Permissions []string
	Scopes      []string
	Packages    []string // that it may be used for
	Orgs        []string
	Ranges      Value // addresses from which it may be used
	Expires     time.Time
	BypassMFA   Value // "true": it needs no second factor

	// SignIn is how the session was begun in which it was minted; nil if that is
	// not known.
	SignIn *SignIn
}

// Networks are where a token was used from, as far as it is shown.
type Networks struct {
	Addresses []store.ValueCount // empty where they are not shown
	Countries []store.ValueCount
	Clients   []store.ValueCount
}

// NewToken returns the dossier of the token, or other credential, that has the
// given ID.
func NewToken(ctx context.Context, room Room, r *reader.Reader, id string, o Options) (*Token, error) {
	a := newAsker(room, r, &o)
	term, err := about(query.Token, id)
	if err != nil {
		return nil, err
	}
	t := &Token{ID: id, Query: all(term).String()}
	history, err := a.history(ctx, all(term), &o)
	if err != nil {
		return nil, err
	}
	if len(history.Events) == 0 && o.After == "" {
		return nil, none(&history.Extent)
	}
	t.History = *history
	if err := a.minted(ctx, t, term); err != nil {
		return nil, err
	}
	use, err := a.use(ctx, id, TokenValues, "ip", "country", "client", "project")
	if err != nil {
		return nil, err
	}
	t.Use = *use
	for _, v := range use.Acts.Values {
		if strings.HasSuffix(v.Value, ":denied") {
			t.Refused += v.Count
		}
	}
	if t.Owner.IsZero() && use.Last != nil {
		t.Owner = use.Last.By
	}
	counted := use.counted.values
	t.Projects, t.Networks = counted["project"], Networks{counted["ip"], counted["country"], counted["client"]}
	return t, nil
}

// minted finds out how a token came, changed and went.
func (a *asker) minted(ctx context.Context, t *Token, term query.Node) error {
	page, err := a.search(ctx, all(term, tagged(slices.Concat(mintTags, tokenTags)...)), ListEvents, nil)
	if err != nil {
		return err
	}
	page.kept(func(e *reading.Shown) bool { return tokenIDOf(e).Text == t.ID })
	t.Changes = a.actsOf(page.Events, ListEvents)
	for _, e := range slices.Backward(page.Events) {
		yes, unsure := done(e)
		if !yes {
			continue
		}
		if name := tokenNameOf(e); !name.IsZero() {
			t.Name = name
		}
		switch tag := e.Fields.Text("tag"); {
		case slices.Contains(mintTags, tag) && t.Mint == nil:
			t.Mint = a.mintOf(e)
			t.Owner = ownerOf(e)
		case slices.Contains(endTags, tag) && !unsure:
			t.Ended = markOf(e)
		}
	}
	if t.Mint == nil {
		return nil
	}
	t.Mint.SignIn, err = a.signInOf(ctx, t.Mint)
	return err
}

func (a *asker) mintOf(e *reading.Shown) *Mint {
	m := &Mint{
		Act: a.actOf(e), Kind: textOf(e, "metadata.kind"), Permissions: listOf(e, "metadata.permissions"),
		Scopes: listOf(e, "metadata.scopes"), Packages: listOf(e, "metadata.packages"), Orgs: listOf(e, "metadata.orgs"),
		Ranges: valueOf(e, "metadata.cidr"), BypassMFA: valueOf(e, "metadata.bypass_mfa"),
	}
	if at, err := time.Parse(time.RFC3339Nano, textOf(e, "metadata.expires")); err == nil {
		m.Expires = at
	}
	return m
}

// ownerOf returns whose token it is that e is about.
func ownerOf(e *reading.Shown) Who {
	if users := subjectsOf(e, "user"); len(users) > 0 {
		return users[0].Who
	}
	return personOf(e)
}

// signInOf returns how the session was begun in which a token was minted.
func (a *asker) signInOf(ctx context.Context, m *Mint) (*SignIn, error) {
	session := m.Credential.Session.Text
	if session == "" {
		return nil, nil //nolint:nilnil // it is not known, and that is no error
	}
	term, err := about(query.Token, session)
	if err != nil {
		return nil, err
	}
	begun, err := a.oldest(ctx, all(term, tagged(signInTags...)), resolveEvents)
	if err != nil {
		return nil, err
	}
	for _, e := range begun {
		if yes, _ := done(e); yes && !e.Time().After(m.Time) {
			s := a.signInAs(e)
			return &s, nil
		}
	}
	return nil, nil //nolint:nilnil // likewise
}
