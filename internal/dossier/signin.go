package dossier

import (
	"context"
	"slices"

	"github.com/custody-log/custody/internal/reading"
)

// SignInEvents is how many sign-ins a page shows.
const SignInEvents = 100

var signInTags = []string{
	"user:login:success", "user:login:failure", "user:login:new_device", "user:login:blocked", "user:mfa:recovery_code_use",
}

// SignIns are the times somebody signed in as a person, or tried to, the newest
// first.
type SignIns struct {
	Extent

	List []SignIn
}

// A SignIn is one of them.
type SignIn struct {
	Act

	Method       string // such as "password"; "" if it is not said
	SecondFactor string // "none" when there was none; "" if it is not said
	Session      Value
	Why          string // it failed

	// NewPlace says that of the sign-ins of the list none before came from
	// there: the country or, where none is known, the network. It is never set
	// for the first.
	NewPlace bool
}

func (a *asker) signIns(ctx context.Context, p *person, u *User) error {
	page, err := a.these(ctx, p, SignInEvents, signInTags...)
	if err != nil {
		return err
	}
	u.SignIns.Extent = page.Extent
	seen := make(map[string]bool)
	for _, e := range slices.Backward(page.Events) {
		s := a.signInAs(e)
		if place := placeName(s.Place); place != "" && !s.Refused() {
			s.NewPlace = len(seen) > 0 && !seen[place]
			seen[place] = true
		}
		u.SignIns.List = append(u.SignIns.List, s)
	}
	slices.Reverse(u.SignIns.List)
	return nil
}

// signInAs returns e as a sign-in.
func (a *asker) signInAs(e *reading.Shown) SignIn {
	s := SignIn{
		Act: a.actOf(e), Method: textOf(e, "metadata.auth_method"), SecondFactor: firstText(textOf(e, "metadata.mfa_method"), textOf(e, "credential.mfa")),
		Session: valueOf(e, "metadata.session_id"), Why: textOf(e, "metadata.reason"),
	}
	if s.Session.IsZero() {
		s.Session = s.Credential.Session
	}
	return s
}
