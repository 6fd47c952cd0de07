package cli

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

func eraseCommand() *command {
	return &command{
		name:  "erase",
		usage: "[-dry-run] [-id ID] [-name NAME] [-reason TEXT] [USER] | list | status ID | deny ID GROUND",
		short: "erase what is personal about somebody",
		long: `Takes out of all events what is personal about one person, for ever. The events stay, and
everything that was proved about them still holds. First look at what would go:

  custody erase -dry-run alice                            events that say alice as ID, or as name and no ID
  custody erase -id u-1041 -name alice -reason "asked for on 2026-03-31"
  custody erase list                                      all erasures
  custody erase status e0123456789abcdef                  how far one is

An event is about the person if it says the ID, or if it says no ID and the name. USER stands for
both. Give the two apart where they differ. Readers see a pseudonym in the person's place. What is
under a hold stays until the hold ends (custody hold); the erasure says so, and then goes on.

Backups still have it: erase again after a restore, or keep retain/erasures, see docs/retention.md.`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			dry := flags.Bool("dry-run", false, "say what would go, and change nothing")
			id := flags.String("id", "", "the person's `ID`")
			name := flags.String("name", "", "the person's `name`")
			reason := flags.String("reason", "", "why, as `text`; erased with the person")
			asJSON := flags.Bool("json", false, "print answers as the HTTP API gives them")
			rest, err := parse(flags, args, 0, 3)
			if err != nil {
				return err
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			e := &erasing{&asking{ctx: ctx, env: env, client: c, asJSON: *asJSON}}
			given := *id != "" || *name != ""
			switch {
			case len(rest) == 0 && given:
				return e.erase(*id, *name, *reason, *dry)
			case given || len(rest) == 0:
			case len(rest) == 1 && rest[0] == "list":
				return e.list()
			case len(rest) == 2 && rest[0] == "status":
				return e.status(rest[1])
			case len(rest) == 3 && rest[0] == "deny":
				return e.deny(rest[1], rest[2])
			case len(rest) == 1:
				return e.erase(rest[0], rest[0], *reason, *dry)
			}
			flags.Usage()
			return errUsage
		},
	}
}

// An erasing is one run of erase.
type erasing struct{ *asking }

// An erasureAnswer is an erasure as the log tells of it.
type erasureAnswer struct {
	ID, State, Pseudonym string
	Requested, Ended     time.Time
	Records, Fields      int64
	Kept                 []struct {
		Hold    string
		Records int64
	}
	Person *personAnswer
}

func (e *erasing) erase(id, name, reason string, dry bool) error {
	body := map[string]any{"subject": map[string]string{"type": "user", "id": id, "name": name}, "reason": reason, "dry_run": dry}
	if dry {
		return e.estimate(body)
	}
	var asked erasureAnswer
	if done, err := e.ask(http.MethodPost, "/v1/erasures", body, &asked); done || err != nil {
		return err
	}
	e.say("%s", asked.ID)
	fmt.Fprintf(e.env.Stderr, "it is being done; custody erase status %s says how far it is\n", printable(asked.ID))
	return nil
}

func (e *erasing) estimate(body any) error {
	var sum struct {
		Events, Fields, Held int64
		Classes              map[string]int64
	}
	if done, err := e.ask(http.MethodPost, "/v1/erasures", body, &sum); done || err != nil {
		return err
	}
	e.say("%d events would lose %d values; %d more are held", sum.Events, sum.Fields, sum.Held)
	for _, class := range slices.Sorted(maps.Keys(sum.Classes)) {
		e.say("  %-20s %d", class, sum.Classes[class])
	}
	return nil
}

func (e *erasing) list() error {
	var answer struct{ Erasures []erasureAnswer }
	if done, err := e.ask(http.MethodGet, "/v1/erasures", nil, &answer); done || err != nil {
		return err
	}
	for i := range answer.Erasures {
		e.print(&answer.Erasures[i])
	}
	if len(answer.Erasures) == 0 {
		fmt.Fprintln(e.env.Stderr, "nobody was erased")
	}
	return nil
}

func (e *erasing) status(id string) error {
	var one erasureAnswer
	if done, err := e.ask(http.MethodGet, "/v1/erasures/"+url.PathEscape(id), nil, &one); done || err != nil {
		return err
	}
	e.print(&one)
	for _, kept := range one.Kept {
		e.say("  %d events are held by %s", kept.Records, kept.Hold)
	}
	return nil
}

func (e *erasing) deny(id, ground string) error {
	var one erasureAnswer
	if done, err := e.ask(http.MethodPost, "/v1/erasures/"+url.PathEscape(id)+"/deny", map[string]string{"ground": ground}, &one); done || err != nil {
		return err
	}
	e.print(&one)
	return nil
}

// print prints one erasure on a line.
func (e *erasing) print(one *erasureAnswer) {
	who := ""
	if p := one.Person; p != nil {
		who = "  " + p.ID + " " + p.Name
	}
	e.say("%s  %s  %-7s  %s  %d events, %d values%s", one.ID, one.Requested.UTC().Format(time.RFC3339), one.State, one.Pseudonym,
		one.Records, one.Fields, who)
}
