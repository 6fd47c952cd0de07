package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/custody-log/custody"
)

func versionCommand() *command {
	return &command{
		name:  "version",
		usage: "",
		short: "print the version",
		long:  "Prints the version of this program.",
		run: func(_ context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			asJSON := flags.Bool("json", false, "print it as JSON")
			if _, err := parse(flags, args, 0, 0); err != nil {
				return err
			}
			if *asJSON {
				return json.NewEncoder(env.Stdout).Encode(map[string]string{"version": env.Version, "go": runtime.Version()})
			}
			fmt.Fprintf(env.Stdout, "custody %s %s\n", env.Version, runtime.Version())
			return nil
		},
	}
}

// BuildVersion returns the version that was built in.
func BuildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return info.Main.Version
}

func doctorCommand() *command {
	return &command{
		name:  "doctor",
		usage: "[-json]",
		short: "say what is well with a running log, and what is not",
		long: `Asks the log at CUSTODY_URL how it does, and checks the environment of this command
line: the address, the API key, the public key. The exit status is 3 if something is not well.`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			asJSON := flags.Bool("json", false, "print the findings as JSON")
			if _, err := parse(flags, args, 0, 0); err != nil {
				return err
			}
			d := &diagnosis{}
			d.examine(ctx, env)
			return d.report(env, *asJSON)
		},
	}
}

// A diagnosis is what doctor found.
type diagnosis struct {
	findings   []finding
	unanswered bool // nothing could be checked
}

// signPatience is how long the newest event may wait for a signature.
const signPatience = 3 * time.Second

// A finding is one thing that was looked at.
type finding struct {
	Well bool   `json:"well"`
	What string `json:"what"`
	Hint string `json:"hint,omitempty"`
}

func (d *diagnosis) add(well bool, what, hint string) {
	if well {
		hint = ""
	}
	d.findings = append(d.findings, finding{well, what, hint})
}

func (d *diagnosis) examine(ctx context.Context, env *Env) {
	address := env.Getenv("CUSTODY_URL")
	if address == "" {
		address = defaultURL
	}
	c, err := client(env, custody.WithPatience(0))
	if err != nil {
		d.add(false, err.Error(), "set CUSTODY_URL to the log's address")
		return
	}
	_, err = c.Call(ctx, "GET", "/readyz", nil)
	problem, answered := errors.AsType[*custody.Error](err)
	switch {
	case err == nil:
		d.add(true, "the log at "+address+" is ready", "")
	case answered:
		d.add(false, "the log at "+address+" is there and not ready: "+problem.Detail, "look at its own messages")
	default:
		d.add(false, "no log answers at "+address, "custody serve starts one; CUSTODY_URL says where it is")
		d.unanswered = true
		return
	}
	d.examineKey(ctx, env, c)
}

// examineKey looks at the API key, and with it at the log.
func (d *diagnosis) examineKey(ctx context.Context, env *Env, c *custody.Client) {
	info, err := c.Info(ctx)
	if err != nil {
		d.add(false, "the API key does not let in here: "+err.Error(), hintOf(err))
		return
	}
	d.add(true, fmt.Sprintf("the API key may read; the log is %s, with %d events", info.Origin, info.Size), "")
	for _, trouble := range info.Trouble {
		d.add(false, trouble, "docs/backup.md says how to mend files")
	}
	signed := info.CheckpointSize
	for end := time.Now().Add(signPatience); signed < info.Size && time.Now().Before(end); {
		select {
		case <-time.After(signPatience / 20):
		case <-ctx.Done():
			return
		}
		if again, err := c.Info(ctx); err == nil {
			signed = again.CheckpointSize
		}
	}
	d.add(signed >= info.Size, fmt.Sprintf("%d events are signed over", signed), "signing stands still; look at the log's own messages")
	if env.Getenv("CUSTODY_LOG_KEY") == "" {
		d.add(true, "CUSTODY_LOG_KEY is not set: receipts are not checked as they are fetched", "")
		return
	}
	p, err := policy(env, "")
	if err != nil {
		d.add(false, "CUSTODY_LOG_KEY: "+err.Error(), "")
		return
	}
	checked, err := client(env, custody.WithPolicy(p), custody.WithPatience(0))
	if err == nil {
		_, _, err = checked.Checkpoint(ctx)
	}
	if err != nil {
		d.add(false, "the log's checkpoint does not hold: "+err.Error(), "is CUSTODY_LOG_KEY this log's key?")
		return
	}
	d.add(true, "the log's checkpoint is signed by the key in CUSTODY_LOG_KEY", "")
}

var errNotWell = errors.New("something is not well")

func (d *diagnosis) report(env *Env, asJSON bool) error {
	well := true
	for _, f := range d.findings {
		well = well && f.Well
		if asJSON {
			if err := json.NewEncoder(env.Stdout).Encode(f); err != nil {
				return err
			}
			continue
		}
		mark := "ok  "
		if !f.Well {
			mark = "BAD "
		}
		fmt.Fprintf(env.Stdout, "%s %s\n", mark, printable(f.What))
		if f.Hint != "" {
			fmt.Fprintf(env.Stdout, "     %s\n", printable(f.Hint))
		}
	}
	switch {
	case d.unanswered:
		return errNotWell
	case !well:
		return &falseError{errNotWell}
	}
	return nil
}
