package signin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/reader"
)

// Limits of what is taken from a provider's claims.
const (
	maxIDBytes = 512  // of a user or project, and of a name
	maxOrgs    = 1000 // of one person
)

// decodeClaims reads claims, whole numbers as they are written.
func decodeClaims(data []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var claims map[string]any
	return claims, d.Decode(&claims)
}

// readerOf returns what reader the person is about whom a provider says claims.
// Somebody who is nothing here is refused.
func (p *provider) readerOf(claims map[string]any) (*reader.Reader, error) {
	who := &reader.Reader{Self: p.selfOf(claims)}
	for _, name := range texts(claims[p.GroupsClaim]) {
		group := p.Groups[name]
		who.Staff |= group.Staff
		for _, org := range group.Orgs {
			if len(who.Orgs) < maxOrgs && !slices.Contains(who.Orgs, org) {
				who.Orgs = append(who.Orgs, org)
			}
		}
	}
	subject := text(claims["sub"])
	if subject == "" {
		return nil, &providerError{"claims", refusedMessage, http.StatusForbidden, nil}
	}
	if who.Staff == 0 && who.Self == "" && len(who.Orgs) == 0 {
		return nil, &providerError{"role", nobodyMessage, http.StatusForbidden, nil}
	}
	who.By = event.Party{
		Type: "user",
		// The provider's ID of somebody may be that of another user of the registry.
		ID:   cmp.Or(who.Self, "oidc:"+subject),
		Name: cmp.Or(text(claims["name"]), text(claims["preferred_username"]), emailOf(claims), who.Self, subject),
	}
	if who.IsStaff() {
		who.By.Type = "admin"
	}
	return who, nil
}

// selfOf returns the registry's ID of the person, or "" if that is not known. An
// address that nobody verified is anybody's.
func (p *provider) selfOf(claims map[string]any) string {
	if p.UserClaim == "email" {
		return emailOf(claims)
	}
	return text(claims[p.UserClaim])
}

func emailOf(claims map[string]any) string {
	if verified := claims["email_verified"]; verified != true && verified != "true" {
		return ""
	}
	return text(claims["email"])
}

// text returns a claim that can stand in an event, or "". A number is one, too:
// IDs often are.
func text(claim any) string {
	var s string
	switch c := claim.(type) {
	case string:
		s = c
	case json.Number:
		s = c.String()
	}
	if len(s) > maxIDBytes || !utf8.ValidString(s) || slices.ContainsFunc([]rune(s), unicode.IsControl) {
		return ""
	}
	return s
}

// texts returns a claim that is a list of strings, or one.
func texts(claim any) []string {
	switch c := claim.(type) {
	case string:
		return []string{c}
	case []any:
		var list []string
		for _, v := range c {
			if s, ok := v.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}
