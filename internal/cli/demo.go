package cli

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/internal/sample"
	"github.com/custody-log/custody/internal/server"
)

func demoCommand() *command {
	return &command{
		name:  "demo",
		usage: "[flags]",
		short: "run a log with a sample incident in it, to look around",
		long: `Runs a log like serve does, fills it through its own API with a sample incident (an account
taken over, a token minted, two packages published), and says what to try and how to sign in.
Run again, it goes on with the same directory; delete that to start anew.

  custody demo`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			var s serving
			s.flags(flags, "custody-demo")
			if _, err := parse(flags, args, 0, 0); err != nil {
				return err
			}
			return demo(ctx, env, &s)
		},
	}
}

func demo(ctx context.Context, env *Env, s *serving) error {
	if s.origin == "" {
		s.origin = "demo.example/log"
	}
	s.keepAll = true // the sample is of months that are past their time
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	filled := make(chan error, 1)
	started := false
	addrFile := s.addrFile
	s.addrFile = "" // written once there is something to look at
	err := s.serve(ctx, env, func(h server.Hello) {
		started = true
		go func() {
			err := fill(ctx, env, s, h)
			if err == nil && addrFile != "" {
				err = writeFile(addrFile, []byte("http://"+h.Addr))
			}
			if err != nil {
				stop()
			}
			filled <- err
		}()
	})
	if started {
		if fillErr := <-filled; fillErr != nil && err == nil {
			return fillErr
		}
	}
	return err
}

// fill submits the sample and says what to try.
func fill(ctx context.Context, env *Env, s *serving, h server.Hello) error {
	keyFile, logKeyFile := filepath.Join(s.data, "demo.key"), filepath.Join(s.data, "log.pub")
	if h.APIKey != "" {
		if err := writeFile(keyFile, []byte(h.APIKey+"\n")); err != nil {
			return err
		}
	}
	if err := writeFile(logKeyFile, []byte(h.LogKey+"\n")); err != nil {
		return err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return withHint(err, "this directory was not made by custody demo; use another -data")
	}
	demoEnv := *env
	demoEnv.Getenv = func(name string) string {
		return map[string]string{"CUSTODY_URL": "http://" + h.Addr, "CUSTODY_KEY": string(key)}[name]
	}
	c, err := client(&demoEnv)
	if err != nil {
		return err
	}
	acks, _, err := c.SubmitJSON(ctx, sample.Incident(), true, custody.Imported())
	if err != nil {
		return err
	}
	release := acks[0].Seq
	if page, err := c.SearchPage(ctx, custody.Query{Text: "project:demo-http tag:project:release:add 1.3.1", Limit: 1}); err == nil && len(page.Events) > 0 {
		release = page.Events[0].Seq
	}
	var link struct{ URL string }
	a := &asking{ctx: ctx, env: &demoEnv, client: c}
	if _, err := a.ask(http.MethodPost, "/v1/signin/link", nil, &link); err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, `
%d events of a sample incident are in the log. Open http://%s
as anybody, or sign in as its administrator, once and within 15 minutes (%s signin-link makes another):

    %s

Or, in another terminal:

    export CUSTODY_URL=http://%s CUSTODY_KEY_FILE=%s CUSTODY_LOG_KEY=%s

    %s search project:demo-http            the history of a package
    %s search token:tok-13                 all that the attacker's token did
    %s receipt %d > receipt.txt && %s verify receipt.txt     proof of one release

Interrupt (Ctrl-C) ends it. The directory %s can then be checked or deleted:
    %s verify %s

`, len(acks), h.Addr, program(), link.URL, h.Addr, absolute(keyFile), absolute(logKeyFile),
		program(), program(), program(), release, program(), s.data, program(), s.data)
	return nil
}

// absolute returns path as it can be used from any directory.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// program returns how this program is called again.
func program() string {
	if strings.Contains(os.Args[0], "go-build") { // go run
		return "go run ./cmd/custody"
	}
	if filepath.Base(os.Args[0]) == "custody" {
		if dir := filepath.Dir(os.Args[0]); dir == "." || dir == "" {
			return os.Args[0]
		}
	}
	return "custody"
}
