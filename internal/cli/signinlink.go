package cli

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"time"
)

func signinLinkCommand() *command {
	return &command{
		name:  "signin-link",
		usage: "",
		short: "make a link with which a person signs in to the console",
		long: `The link lets whoever opens it in to the console, once and until it expires. It is for the
first administrator, and for those who have no provider to sign in with. Making one needs a
key with the scope admin, and is an event.

  custody signin-link`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			asJSON := flags.Bool("json", false, "print the answer as the HTTP API gives it")
			if _, err := parse(flags, args, 0, 0); err != nil {
				return err
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			a := &asking{ctx: ctx, env: env, client: c, asJSON: *asJSON}
			var link struct {
				URL     string
				Expires time.Time
			}
			if done, err := a.ask(http.MethodPost, "/v1/signin/link", nil, &link); done || err != nil {
				return err
			}
			a.say("%s", link.URL)
			fmt.Fprintf(env.Stderr, "hint: open it in a browser before %s; it is good once, and whoever opens it is in\n", link.Expires.UTC().Format(time.RFC3339))
			return nil
		},
	}
}
