package retain

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/disk"
)

const policiesFile = "policies.json"

// MinTraces is the least time for which events of the classes admin and meta,
// and what is personal in them, are kept, whatever anybody says.
const MinTraces Days = 30

// guarded are the classes that MinTraces is about.
var guarded = []string{"admin", "meta"}

// The places where a policy can come from.
const (
	FromDefault = "default"       // the catalogue
	FromConfig  = "configuration" // the configuration file
	FromChange  = "change"        // changed while running; stronger than the file
)

// A Period is how long events are kept, and what is personal in them.
type Period struct {
	Keep         Days `json:"keep"`
	KeepPersonal Days `json:"keep_personal"` // at most as long as the event, whatever it says
}

// A Policy is how long the events of one class are kept.
type Policy struct {
	Class string `json:"class"`
	Period
	From string `json:"from"` // one of FromDefault, FromConfig, FromChange
}

// String returns the policy in words, without its class.
func (p Policy) String() string {
	s := "keep " + p.Keep.String()
	if p.KeepPersonal.less(p.Keep) {
		s += ", personal fields " + p.KeepPersonal.String()
	}
	return s
}

// An Override replaces a part of a policy; what is nil stays as it is.
type Override struct {
	Keep         *Days `yaml:"keep"          json:"keep,omitempty"`
	KeepPersonal *Days `yaml:"keep_personal" json:"keep_personal,omitempty"`
}

// Overrides replace parts of policies, by class.
type Overrides map[string]Override

// defaults returns the policies of the catalogue, by class.
func defaults() map[string]Policy {
	all := make(map[string]Policy)
	for _, r := range catalogue.Retentions() {
		period := Period{Keep: daysOf(r.Keep), KeepPersonal: daysOf(r.KeepPersonal)}
		all[r.Name] = Policy{Class: r.Name, Period: period, From: FromDefault}
	}
	return all
}

// daysOf returns d in days, of which a part counts as a whole one; 0 is for ever.
func daysOf(d time.Duration) Days {
	return Days((d + 24*time.Hour - 1) / (24 * time.Hour))
}

// apply returns policies with o in them.
func (o Overrides) apply(policies map[string]Policy) (map[string]Policy, error) {
	for _, class := range slices.Sorted(maps.Keys(o)) {
		p, ok := policies[class]
		if !ok {
			return nil, invalid("retention.%s: there is no such class; there are %s", class, classNames())
		}
		changed, err := o[class].apply(p)
		if err != nil {
			return nil, err
		}
		changed.From = FromConfig
		policies[class] = changed
	}
	return policies, nil
}

func classNames() (names string) {
	for i, r := range catalogue.Retentions() {
		if i > 0 {
			names += ", "
		}
		names += r.Name
	}
	return names
}

// apply returns p with o in it, checked.
func (o Override) apply(p Policy) (Policy, error) {
	if o.Keep != nil {
		p.Keep = *o.Keep
	}
	if o.KeepPersonal != nil {
		p.KeepPersonal = *o.KeepPersonal
	}
	return p, p.check()
}

// check refuses a policy that nobody may wish for.
func (p Policy) check() error {
	for key, d := range map[string]Days{"keep": p.Keep, "keep_personal": p.KeepPersonal} {
		if d < 0 || d > MaxDays {
			return invalid("retention.%s.%s: %d days, want 1 to %d, or forever", p.Class, key, int(d), int(MaxDays))
		}
		if slices.Contains(guarded, p.Class) && d.less(MinTraces) {
			return invalid("retention.%s.%s: %v is less than %v; hint: what administrators and the log itself do is kept at least so long", p.Class, key, d, MinTraces)
		}
	}
	return nil
}

// Policies are how long each class of events is kept. Its methods may be called
// concurrently.
type Policies struct {
	fs         disk.FS
	configured map[string]Policy // as without any change

	changing sync.Mutex // one change at a time; taken before mu
	mu       sync.RWMutex
	changed  map[string]Period // what was changed while running, by class; replaced, never modified
}

// A policiesState is the file.
type policiesState struct {
	Version int               `json:"version"`
	Classes map[string]Period `json:"classes"`
}

// OpenPolicies reads what was changed while running, over what is configured.
func OpenPolicies(from disk.FS, configured Overrides) (*Policies, error) {
	base, err := configured.apply(defaults())
	if err != nil {
		return nil, err
	}
	p := &Policies{fs: from, configured: base}
	var state policiesState
	switch err := readState(from, policiesFile, &state); {
	case errors.Is(err, fs.ErrNotExist):
		return p, nil
	case err != nil:
		return nil, err
	}
	if err := checkVersion(policiesFile, state.Version); err != nil {
		return nil, err
	}
	for class, period := range state.Classes {
		if _, ok := base[class]; !ok {
			return nil, fmt.Errorf("retain: %s: there is no class %q", policiesFile, class)
		}
		if err := (Policy{Class: class, Period: period}).check(); err != nil {
			return nil, fmt.Errorf("retain: %s: %w", policiesFile, err)
		}
	}
	p.changed = state.Classes
	return p, nil
}

// List returns the policies of all classes, in the order of the catalogue.
func (p *Policies) List() []Policy {
	var list []Policy
	for _, r := range catalogue.Retentions() {
		policy, _ := p.Of(r.Name)
		list = append(list, policy)
	}
	return list
}

// Of returns the policy of a class.
func (p *Policies) Of(class string) (Policy, bool) {
	policy, ok := p.configured[class]
	p.mu.RLock()
	defer p.mu.RUnlock()
	if period, changed := p.changed[class]; changed {
		policy.Period, policy.From = period, FromChange
	}
	return policy, ok
}

// Set changes the policy of a class, durably, and returns what it was and what
// it is. It returns [ErrUnknown] if there is no such class, and an
// [*InvalidError] for a time that may not be.
func (p *Policies) Set(class string, o Override) (before, after Policy, err error) {
	p.changing.Lock()
	defer p.changing.Unlock()
	before, ok := p.Of(class)
	if !ok {
		return Policy{}, Policy{}, ErrUnknown
	}
	if after, err = o.apply(before); err != nil {
		return Policy{}, Policy{}, err
	}
	after.From = FromChange
	changed := maps.Clone(p.changed)
	if changed == nil {
		changed = make(map[string]Period)
	}
	changed[class] = after.Period
	return before, after, p.save(changed)
}

// Reset takes back what was changed while running, durably: what is configured
// counts again.
func (p *Policies) Reset(class string) (before, after Policy, err error) {
	p.changing.Lock()
	defer p.changing.Unlock()
	before, ok := p.Of(class)
	if !ok {
		return Policy{}, Policy{}, ErrUnknown
	}
	changed := maps.Clone(p.changed)
	delete(changed, class)
	return before, p.configured[class], p.save(changed)
}

// save makes changed durable and lets it count. The caller holds p.changing.
func (p *Policies) save(changed map[string]Period) error {
	if err := writeState(p.fs, policiesFile, policiesState{Version: version, Classes: changed}); err != nil {
		return err
	}
	p.mu.Lock()
	p.changed = changed
	p.mu.Unlock()
	return nil
}

// Cut returns before which time events of a class go, and before which time
// what is personal in them goes; the zero time is never. The second is not
// before the first. Events of a class that is not known are kept.
//
// Both are to be compared with when the log received an event: its source
// chooses its own time, and must not choose when it goes.
func (p *Policies) Cut(class string, now time.Time) (dropBefore, personalBefore time.Time) {
	policy, ok := p.Of(class)
	if !ok {
		return time.Time{}, time.Time{}
	}
	dropBefore = policy.Keep.Before(now)
	personalBefore = policy.KeepPersonal.Before(now)
	if personalBefore.Before(dropBefore) {
		personalBefore = dropBefore
	}
	return dropBefore, personalBefore
}
