package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"net/http"
	"net/url"
)

func accessCommand() *command {
	return &command{
		name:  "access",
		usage: "[-id ID] [-name NAME] [USER]",
		short: "what the log holds about somebody",
		long: `Writes all that the log holds about one person, for the person: a line of JSON for each event
with what is personal in it, until when it is kept, and what holds it.

  custody access alice > me.json                   events that say alice as ID, or as name and no ID
  custody access -id u-1041 -name alice > me.json

It finds the same as custody erase. The report is an event in the log.`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			id := flags.String("id", "", "the person's `ID`")
			name := flags.String("name", "", "the person's `name`")
			rest, err := parse(flags, args, 0, 1)
			if err != nil {
				return err
			}
			given := *id != "" || *name != ""
			if given == (len(rest) == 1) {
				flags.Usage()
				return errUsage
			}
			if !given {
				*id, *name = rest[0], rest[0]
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			path := "/v1/access?" + url.Values{"type": {"user"}, "id": {*id}, "name": {*name}}.Encode()
			report, err := c.Call(ctx, http.MethodGet, path, nil)
			if err != nil {
				return err
			}
			if _, err := env.Stdout.Write(report); err != nil {
				return err
			}
			last := bytes.TrimSpace(report)
			last = last[bytes.LastIndexByte(last, '\n')+1:]
			if !bytes.HasPrefix(last, []byte(`{"end":`)) {
				return errors.New("the report has no end, so something is missing; run it again")
			}
			return nil
		},
	}
}
