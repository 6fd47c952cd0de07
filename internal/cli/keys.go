package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/custody-log/custody"
)

func keysCommand() *command {
	return &command{
		name:  "keys",
		usage: "list | create NAME | revoke ID | log | rotate | retire LOGKEY | file create PATH",
		short: "manage API keys and the key that signs",
		long: `API keys let programs in; each belongs to a source, under whose name its events stand.

  custody keys create -source npm-proxy -scopes submit,read "the npm proxy"
  custody keys create -scopes read -reads auditor "what auditors use"
  custody keys list
  custody keys revoke 0123456789ab

A key that may read does so as everything, or as whom -reads says; say it several times for
a key that is several of them:

  everything        all of it, personal fields in the clear: for a registry's own programs
  auditor, admin    who audits or administers the registry; personal fields are masked
  user:ID           one person: what is about them
  project:TYPE:ID   who owns a project, e.g. project:project:pkg:npm/demo-pkg
  org:ID            who has a role in an organization
  public            anybody

The log signs with a key of its own. To change it, rotate; give readers time to learn the new
public key while both sign; then retire the old one. Each step is an event in the log.

  custody keys log          the log's public keys
  custody keys rotate       sign with a new key, too
  custody keys retire KEY   sign with KEY no more

A file key encrypts a data directory, for serve -encryption-key:

  custody keys file create /etc/custody/file.key`,
		run: runKeys,
	}
}

func runKeys(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
	source := flags.String("source", "", "create: `name` of the source whose events the key records (default: from NAME)")
	scopes := flags.String("scopes", "submit", "create: what the key may do: submit, read, admin, joined by commas")
	var reads []string
	flags.Func("reads", "create: as `whom` the key reads (default: everything)", func(whom string) error {
		reads = append(reads, whom)
		return nil
	})
	asJSON := flags.Bool("json", false, "print answers as the HTTP API gives them")
	rest, err := parse(flags, args, 1, 3)
	if err != nil {
		return err
	}
	if rest[0] == "file" && len(rest) == 3 && rest[1] == "create" {
		return createFileKey(env, rest[2])
	}
	if len(rest) == 3 {
		flags.Usage()
		return errUsage
	}
	c, err := client(env)
	if err != nil {
		return err
	}
	k := &keyTool{env: env, client: c, asJSON: *asJSON}
	verb, argument := rest[0], ""
	if len(rest) == 2 {
		argument = rest[1]
	}
	switch {
	case verb == "list" && argument == "":
		return k.list(ctx)
	case verb == "create" && argument != "":
		return k.create(ctx, argument, *source, strings.Split(*scopes, ","), reads)
	case verb == "revoke" && argument != "":
		return c.RevokeAPIKey(ctx, argument)
	case verb == "log" && argument == "":
		return k.log(ctx)
	case verb == "rotate" && argument == "":
		keys, err := c.RotateLogKey(ctx)
		return k.print(keys, err)
	case verb == "retire" && argument != "":
		keys, err := c.RetireLogKey(ctx, argument)
		return k.print(keys, err)
	}
	flags.Usage()
	return errUsage
}

// A keyTool is one run of keys.
type keyTool struct {
	env    *Env
	client *custody.Client
	asJSON bool
}

func (k *keyTool) list(ctx context.Context) error {
	keys, err := k.client.APIKeys(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if k.asJSON {
			if err := json.NewEncoder(k.env.Stdout).Encode(key); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(k.env.Stdout, "%s  %s  %-20s  %-24s  %s\n", printable(key.ID), key.Created.UTC().Format(time.RFC3339),
			printable(key.Source), printable(mayDo(&key)), printable(key.Name))
	}
	return nil
}

func (k *keyTool) create(ctx context.Context, name, source string, scopes, reads []string) error {
	if source == "" {
		source = sourceName(name)
	}
	var key *custody.APIKey
	var secret string
	var err error
	if len(reads) == 0 {
		key, secret, err = k.client.CreateAPIKey(ctx, name, source, scopes...)
	} else {
		key, secret, err = k.client.CreateReaderKey(ctx, name, source, reads, scopes...)
	}
	if err != nil {
		return err
	}
	if k.asJSON {
		return json.NewEncoder(k.env.Stdout).Encode(struct {
			*custody.APIKey

			Secret string `json:"secret"`
		}{key, secret})
	}
	fmt.Fprintln(k.env.Stdout, secret)
	fmt.Fprintln(k.env.Stderr, printable(fmt.Sprintf("key %s of source %s may %s; it is shown this once", key.ID, key.Source, mayDo(key))))
	return nil
}

// mayDo says what a key may do, and as whom it reads.
func mayDo(key *custody.APIKey) string {
	scopes := strings.Join(key.Scopes, ",")
	if len(key.Reads) == 0 {
		return scopes
	}
	return scopes + " as " + strings.Join(key.Reads, ",")
}

// sourceName makes a source's name of what people call it.
func sourceName(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name), "-")
}

func (k *keyTool) log(ctx context.Context) error {
	info, err := k.client.Info(ctx)
	if err != nil {
		return err
	}
	for _, key := range info.Keys {
		fmt.Fprintln(k.env.Stdout, printable(key))
	}
	return nil
}

// print prints the public keys that sign now.
func (k *keyTool) print(keys *custody.LogKeys, err error) error {
	if err != nil {
		return err
	}
	if k.asJSON {
		return json.NewEncoder(k.env.Stdout).Encode(keys)
	}
	for _, key := range keys.Keys {
		fmt.Fprintln(k.env.Stdout, key)
	}
	return nil
}
