package dossier

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/custody-log/custody/internal/reading"
)

// Kinds of events that tell of a person's keys, second factors and addresses.
var (
	keyTags    = []string{"user:key:*", "user:password:*", "user:oauth_app:*", "user:association:*"}
	factorTags = []string{
		"user:mfa:enable", "user:mfa:disable", "user:mfa:method_add", "user:mfa:method_remove", "user:mfa:method_rename",
		"user:mfa:level_change", "user:mfa:recovery_codes_generate", "user:mfa:recovery_codes_view", "user:mfa:recovery_code_use",
		"user:mfa:device_remember", "user:mfa:enroll",
	}
	emailTags = []string{
		"user:email:add", "user:email:remove", "user:email:verify", "user:email:unverify", "user:email:primary_change",
		"user:email:change_cancel", "user:profile:change",
	}
)

// Keys are what happened to a person's keys, passwords and applications, the
// newest first.
type Keys struct {
	Extent

	List []Act
}

func (a *asker) keys(ctx context.Context, p *person, u *User) error {
	page, err := a.these(ctx, p, ListEvents, keyTags...)
	if err != nil {
		return err
	}
	u.Keys = Keys{page.Extent, a.actsOf(page.Events, ListEvents)}
	return nil
}

// Factors are a person's second factors.
type Factors struct {
	Extent

	Now     []Factor // those that were added and not removed since, newest first
	Changes []Act    // newest first
}

// A Factor is a second factor that somebody has.
type Factor struct {
	Method string // such as "totp"; "" if it is not said
	Label  Value
	Added  Mark
}

func (a *asker) factors(ctx context.Context, p *person, u *User) error {
	page, err := a.these(ctx, p, ListEvents, factorTags...)
	if err != nil {
		return err
	}
	u.Factors = Factors{Extent: page.Extent, Changes: a.actsOf(page.Events, ListEvents)}
	for _, e := range slices.Backward(page.Events) {
		if yes, unsure := done(e); yes && !unsure {
			u.Factors.take(e)
		}
	}
	slices.Reverse(u.Factors.Now)
	return nil
}

// take takes in the next event.
func (f *Factors) take(e *reading.Shown) {
	x := Factor{Method: textOf(e, "metadata.method"), Label: valueOf(e, "metadata.label"), Added: markOf(e)}
	switch e.Fields.Text("tag") {
	case "user:mfa:method_add":
		f.Now = append(f.Now, x)
	case "user:mfa:enable":
		if x.Method != "" && !slices.ContainsFunc(f.Now, func(o Factor) bool { return o.Method == x.Method }) {
			f.Now = append(f.Now, x)
		}
	case "user:mfa:disable":
		f.Now = nil
	case "user:mfa:method_remove":
		i := slices.IndexFunc(f.Now, func(o Factor) bool { return o.Method == x.Method && o.Label == x.Label })
		if i < 0 {
			i = slices.IndexFunc(f.Now, func(o Factor) bool { return o.Method == x.Method })
		}
		if i >= 0 {
			f.Now = slices.Delete(f.Now, i, i+1)
		}
	case "user:mfa:method_rename":
		for i := range f.Now {
			if old := valueOf(e, "metadata.old_label"); old.Text != "" && f.Now[i].Label == old {
				f.Now[i].Label = valueOf(e, "metadata.new_label")
			}
		}
	}
}

// Emails are what happened to a person's addresses, the newest first.
type Emails struct {
	Extent

	List []Email
}

// An Email is one of these events.
type Email struct {
	Act

	What     string // such as "primary_change"
	Old, New Value  // the address before and after; of what is about one address, New
}

// Changed returns when the primary address was changed last.
func (m *Emails) Changed() (at time.Time, ok bool) {
	for i := range m.List {
		if m.List[i].What == "primary_change" && !m.List[i].Refused() {
			return m.List[i].Time, true
		}
	}
	return time.Time{}, false
}

func (a *asker) emails(ctx context.Context, p *person, u *User) error {
	page, err := a.these(ctx, p, ListEvents, emailTags...)
	if err != nil {
		return err
	}
	u.Emails.Extent = page.Extent
	for _, e := range page.Events {
		m := Email{Act: a.actOf(e)}
		was, is, changed := changeOf(e, "email")
		what, own := strings.CutPrefix(m.Tag, "user:email:")
		switch {
		case own:
			m.What = what
		case changed:
			m.What = "change"
		default:
			continue // of a profile, and of no address
		}
		m.Old, m.New = valueOf(e, "metadata.old_primary"), valueOf(e, "metadata.new_primary", "metadata.email")
		if m.Old.IsZero() {
			m.Old = was
		}
		if m.New.IsZero() {
			m.New = is
		}
		u.Emails.List = append(u.Emails.List, m)
	}
	return nil
}
