package cli

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func holdCommand() *command {
	return &command{
		name:  "hold",
		usage: "[list | add [flags] QUERY ... | lift [-reason TEXT] ID]",
		short: "keep events from being dropped or erased",
		long: `A hold keeps the events that a query finds, whatever retention and erasures say, until its
end or until somebody lifts it. Placing and lifting are events.

  custody hold add -case C-17 -reason "under investigation" project:demo-pkg after:2026-03-01
  custody hold add -account u-1041 -until 2026-12-31     all that an account did
  custody hold                                           all holds
  custody hold lift -reason "case closed" hold-0123456789abcdef

tag:* holds everything. The account of who deletes it is held by itself, for evidence_hold of
the configuration file (90 days).`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			h := new(holding)
			flags.StringVar(&h.about, "case", "", "add: what it is `for`")
			flags.StringVar(&h.reason, "reason", "", "add, lift: why, as `text`")
			flags.StringVar(&h.until, "until", "", "add: the end, a `day` (UTC) or a time with zone; without it the hold ends when it is lifted")
			flags.StringVar(&h.account, "account", "", "add: hold the events of the user with this `ID`, in place of a query")
			asJSON := flags.Bool("json", false, "print answers as the HTTP API gives them")
			rest, err := parse(flags, args, 0, -1)
			if err != nil {
				return err
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			h.asking = &asking{ctx: ctx, env: env, client: c, asJSON: *asJSON}
			verb := "list"
			if len(rest) > 0 {
				verb = rest[0]
			}
			switch {
			case verb == "list" && len(rest) <= 1:
				return h.list()
			case verb == "add" && (len(rest) > 1) != (h.account != ""):
				return h.add(strings.Join(quoteWords(rest[1:]), " "))
			case verb == "lift" && len(rest) == 2:
				return h.lift(rest[1])
			}
			flags.Usage()
			return errUsage
		},
	}
}

// A holding is one run of hold.
type holding struct {
	*asking

	about, reason, until, account string
}

// A holdAnswer is a hold as the log tells it.
type holdAnswer struct {
	ID, Case, Query, Reason string
	Account                 *personAnswer
	Until, Lifted           time.Time
}

// A personAnswer is somebody as the log tells of them.
type personAnswer struct{ Type, ID, Name string }

// scope returns what the hold is on.
func (h *holdAnswer) scope() string {
	if h.Account == nil {
		return h.Query
	}
	return "account " + h.Account.ID + " " + h.Account.Name
}

// state returns until when it holds.
func (h *holdAnswer) state() string {
	switch {
	case !h.Lifted.IsZero():
		return "lifted " + h.Lifted.UTC().Format(time.DateOnly)
	case h.Until.IsZero():
		return "until lifted"
	}
	return "until " + h.Until.UTC().Format(time.DateOnly)
}

func (h *holding) list() error {
	var answer struct{ Holds []holdAnswer }
	if done, err := h.ask(http.MethodGet, "/v1/holds", nil, &answer); done || err != nil {
		return err
	}
	for _, hold := range answer.Holds {
		h.say("%s  %-17s  %-12s  %s", hold.ID, hold.state(), hold.Case, hold.scope())
	}
	if len(answer.Holds) == 0 {
		fmt.Fprintln(h.env.Stderr, "nothing is held")
	}
	return nil
}

func (h *holding) add(query string) error {
	body := map[string]any{"case": h.about, "reason": h.reason}
	if h.account != "" {
		body["account"] = map[string]string{"type": "user", "id": h.account}
	} else {
		body["query"] = query
	}
	if h.until != "" {
		at, err := time.Parse(time.DateOnly, h.until)
		if err != nil {
			at, err = time.Parse(time.RFC3339, h.until)
		}
		if err != nil {
			return &wrongError{fmt.Errorf("-until %q is neither a day like 2026-12-31 nor a time like 2026-12-31T12:00:00Z", h.until)}
		}
		body["until"] = at
	}
	var hold holdAnswer
	if done, err := h.ask(http.MethodPost, "/v1/holds", body, &hold); done || err != nil {
		return err
	}
	h.say("%s", hold.ID)
	fmt.Fprintf(h.env.Stderr, "held %s; custody hold lift %s ends it\n", hold.state(), printable(hold.ID))
	return nil
}

func (h *holding) lift(id string) error {
	var hold holdAnswer
	body := map[string]string{"reason": h.reason}
	if done, err := h.ask(http.MethodPost, "/v1/holds/"+url.PathEscape(id)+"/lift", body, &hold); done || err != nil {
		return err
	}
	fmt.Fprintln(h.env.Stderr, "lifted; what it held is kept as long as its class says")
	return nil
}
