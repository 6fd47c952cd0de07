package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/custody-log/custody"
)

func retentionCommand() *command {
	return &command{
		name:  "retention",
		usage: "[list | set CLASS [keep=TIME] [keep_personal=TIME] | reset CLASS | purge]",
		short: "how long which events are kept",
		long: `Every type of event has a class of retention. A class says how long its events are kept, and
how long what is personal in them. What was recorded can be proved for ever.

  custody retention                                    all classes
  custody retention set user-auth keep=30d             drop sign-ins after 30 days
  custody retention set permanent-skeleton keep_personal=2y
  custody retention reset user-auth                    what the configuration file says counts again
  custody retention purge                              drop now what is past its time

Times are 90d, 8w, 7y or forever. admin and meta are kept 30 days at least. A change here is
stronger than the configuration file, and is an event. What is under a hold stays: custody hold.`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			asJSON := flags.Bool("json", false, "print answers as the HTTP API gives them")
			rest, err := parse(flags, args, 0, 4)
			if err != nil {
				return err
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			a := &asking{ctx: ctx, env: env, client: c, asJSON: *asJSON}
			return runRetention(a, flags, rest)
		},
	}
}

func runRetention(a *asking, flags *flag.FlagSet, args []string) error {
	verb := "list"
	if len(args) > 0 {
		verb = args[0]
	}
	switch {
	case verb == "list" && len(args) <= 1:
		return a.policies()
	case verb == "set" && len(args) >= 3:
		wish, err := readWish(args[2:])
		if err != nil {
			return err
		}
		return a.policy(http.MethodPut, args[1], wish)
	case verb == "reset" && len(args) == 2:
		return a.policy(http.MethodDelete, args[1], nil)
	case verb == "purge" && len(args) == 1:
		return a.purge()
	}
	flags.Usage()
	return errUsage
}

// readWish reads words such as keep=90d.
func readWish(words []string) (map[string]string, error) {
	wish := make(map[string]string)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok || key != "keep" && key != "keep_personal" {
			return nil, &wrongError{withHint(fmt.Errorf("%q is not keep=TIME or keep_personal=TIME", word), "custody retention set user-auth keep=30d")}
		}
		wish[key] = value
	}
	return wish, nil
}

// An asking is one run of a command that asks the log for what the SDK has no
// method for.
type asking struct {
	ctx    context.Context //nolint:containedctx // an asking lives no longer than one command
	env    *Env
	client *custody.Client
	asJSON bool
}

// ask makes a request and reads the answer into v. With -json it prints the
// answer, and done is true.
func (a *asking) ask(method, path string, body, v any) (done bool, err error) {
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return false, err
		}
	}
	answer, err := a.client.Call(a.ctx, method, path, data)
	if err != nil {
		return false, err
	}
	if a.asJSON {
		_, err := a.env.Stdout.Write(answer)
		return true, err
	}
	return false, json.Unmarshal(answer, v)
}

// say prints one line of an answer.
func (a *asking) say(format string, args ...any) {
	fmt.Fprintln(a.env.Stdout, printable(fmt.Sprintf(format, args...)))
}

// A policyAnswer is a policy as the log tells it.
type policyAnswer struct {
	Class, Keep, From string
	KeepPersonal      string `json:"keep_personal"`
}

func (a *asking) policies() error {
	var list struct{ Classes []policyAnswer }
	if done, err := a.ask(http.MethodGet, "/v1/retention", nil, &list); done || err != nil {
		return err
	}
	a.say("%-20s  %-8s  %-13s  %s", "class", "keep", "keep_personal", "from")
	for _, p := range list.Classes {
		a.say("%-20s  %-8s  %-13s  %s", p.Class, p.Keep, p.KeepPersonal, p.From)
	}
	return nil
}

// policy changes the policy of a class and says what it is now.
func (a *asking) policy(method, class string, wish map[string]string) error {
	var body any
	if wish != nil {
		body = wish
	}
	var changed struct{ Before, After policyAnswer }
	if done, err := a.ask(method, "/v1/retention/"+url.PathEscape(class), body, &changed); done || err != nil {
		return err
	}
	was, is := changed.Before, changed.After
	a.say("%s: keep %s, keep_personal %s (was %s, %s)", is.Class, is.Keep, is.KeepPersonal, was.Keep, was.KeepPersonal)
	return nil
}

func (a *asking) purge() error {
	var purged struct{ Events, Personal, Held, Bytes int64 }
	if done, err := a.ask(http.MethodPost, "/v1/retention/purge", nil, &purged); done || err != nil {
		return err
	}
	a.say("%d events dropped, %d more without what was personal in them, %d held, %d bytes freed",
		purged.Events, purged.Personal, purged.Held, purged.Bytes)
	return nil
}
