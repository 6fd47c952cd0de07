package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/config"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/retain"
	"github.com/custody-log/custody/internal/server"
	"github.com/custody-log/custody/proof"
)

// defaultListen is on loopback: a log is opened to the world by who says so.
const defaultListen = "127.0.0.1:8440"

// gcPercent trades time for memory: what lives is large, and cheap to mark
// because there are hardly any pointers in it. The variable GOGC overrules it.
const gcPercent = 60

// From memoryBase and memoryEvent for each event on the collector works harder
// instead (soft, see [debug.SetMemoryLimit]): the tables that are not sealed yet,
// and what an event costs in the table of those that are known. GOMEMLIMIT sets
// another limit.
const (
	memoryBase  = 320 << 20
	memoryEvent = 14
)

// spareProcs is how many goroutines may run besides one for each core. One that
// waits for the disk keeps its place until the scheduler notices, and with few
// cores others would wait with it. The variable GOMAXPROCS overrules it.
const spareProcs = 2

// A serving is what the flags of serve say.
type serving struct {
	data, listen, addrFile, keyFile, origin, config string

	fileKey *string
	keepAll bool // whatever the configuration does not say is kept for ever
}

func (s *serving) flags(flags *flag.FlagSet, data string) {
	flags.StringVar(&s.data, "data", data, "`directory` that holds the log; made if it is not there")
	flags.StringVar(&s.listen, "listen", defaultListen, "`address` to serve on; port 0 takes a free one")
	flags.StringVar(&s.addrFile, "addr-file", "", "write the address served on to this `file`")
	flags.StringVar(&s.keyFile, "api-key-file", "", "write the API key that the first start makes to this `file` instead of showing it")
	flags.StringVar(&s.origin, "origin", "", "`name` of a new log, such as audit.example.com/log; it stands in every receipt and cannot be changed")
	flags.StringVar(&s.config, "config", "", "configuration `file` (YAML); see docs/configuration.md")
	s.fileKey = fileKeyFlag(flags)
}

func serveCommand() *command {
	return &command{
		name:  "serve",
		usage: "[flags]",
		short: "run the log",
		long: `Runs the log on one data directory until interrupted. The first start makes the
log, its signing key and an administrator's API key, which is shown once.

  custody serve -data /var/lib/custody -origin audit.example.com/log
  custody serve -data ./custody-data -config custody.yaml    with proxies, witnesses, sources`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			var s serving
			s.flags(flags, "custody-data")
			if _, err := parse(flags, args, 0, 0); err != nil {
				return err
			}
			return s.serve(ctx, env, func(h server.Hello) { greet(env, h) })
		},
	}
}

// serve runs the log and calls ready once it answers.
func (s *serving) serve(ctx context.Context, env *Env, ready func(server.Hello)) error {
	cfg, err := s.prepare(env)
	if err != nil {
		return err
	}
	if env.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if env.Getenv("GOMEMLIMIT") == "" {
		cfg.Grown = func(records journal.Seq) { debug.SetMemoryLimit(memoryBase + memoryEvent*int64(records)) }
	}
	if env.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcs)
	}
	cfg.Ready = func(h server.Hello) {
		if s.keyFile != "" && h.APIKey != "" {
			if err := writeFile(s.keyFile, []byte(h.APIKey+"\n")); err == nil {
				h.APIKey = ""
			} else {
				cfg.Log.ErrorContext(ctx, "the API key was not written to its file", "err", err)
			}
		}
		if s.addrFile != "" {
			if err := writeFile(s.addrFile, []byte("http://"+h.Addr)); err != nil {
				cfg.Log.ErrorContext(ctx, "the address file was not written", "err", err)
			}
		}
		ready(h)
	}
	srv, err := server.Open(ctx, *cfg)
	if err != nil {
		_ = cfg.Listen.Close() // why it does not start is the better error
		return hintStart(err, s.data)
	}
	return srv.Run(ctx)
}

// prepare turns flags and files into the server's configuration.
func (s *serving) prepare(env *Env) (*server.Config, error) {
	file, dir, err := readConfig(s.config)
	if err != nil {
		return nil, err
	}
	cfg := &server.Config{
		File: file, Version: env.Version, Origin: s.origin,
		Log: slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	if s.keepAll && file.Retention == nil {
		file.Retention = keepForever()
	}
	if cfg.Origin == "" {
		cfg.Origin = server.DefaultOrigin()
	}
	if cfg.Catalogue, err = loadCatalogue(dir, file.Catalogue); err != nil {
		return nil, err
	}
	if file.WitnessPolicy != "" {
		if cfg.Policy, err = readPolicy(within(dir, file.WitnessPolicy)); err != nil {
			return nil, err
		}
	}
	if file.GeoDatabase != "" {
		if cfg.Country, err = readGeo(within(dir, file.GeoDatabase)); err != nil {
			return nil, err
		}
	}
	if oidc := file.Readers.OIDC; oidc != nil && oidc.ClientSecretFile != "" {
		secret, err := readFile(within(dir, oidc.ClientSecretFile))
		if err != nil {
			return nil, fmt.Errorf("oidc.client_secret_file: %w", err)
		}
		cfg.ClientSecret = strings.TrimSpace(string(secret))
	}
	if cfg.FileKey, err = readFileKey(*s.fileKey); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return nil, err
	}
	if cfg.Data, err = disk.Dir(s.data); err != nil {
		return nil, err
	}
	if isTerminal(env.Stderr) {
		bar := newBar(env.Stderr, "checking the log")
		cfg.Progress = func(done, all journal.Seq) { bar.show(int64(done), int64(all)) }
	}
	if cfg.Listen, err = net.Listen("tcp", s.listen); err != nil {
		return nil, withHint(err, "is a log running already? custody doctor; or take another address with -listen")
	}
	return cfg, nil
}

// keepForever returns policies by which nothing is ever dropped.
func keepForever() retain.Overrides {
	forever := retain.Forever
	o := make(retain.Overrides)
	for _, class := range catalogue.Retentions() {
		o[class.Name] = retain.Override{Keep: &forever, KeepPersonal: &forever}
	}
	return o
}

// hintStart adds what helps against the usual reasons not to start.
func hintStart(err error, data string) error {
	if errors.Is(err, disk.ErrLocked) {
		return withHint(err, "another custody serve has "+data+"; stop it, or use another -data")
	}
	if _, ok := errors.AsType[*journal.CorruptError](err); ok {
		return withHint(err, "the records were damaged: keep the directory as it is, look at the disk, restore a backup; custody verify "+data+" says more")
	}
	return hintFileKey(err)
}

// readConfig reads the configuration file, if one is named, and returns the
// directory that relative paths in it start at.
func readConfig(name string) (*config.Config, string, error) {
	if name == "" {
		return new(config.Config), ".", nil
	}
	data, err := readFile(name)
	if err != nil {
		return nil, "", err
	}
	c, err := config.Parse(data)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	return c, filepath.Dir(name), nil
}

// within returns path, which starts at dir unless it is absolute.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// loadCatalogue returns the catalogue with the types in the named directories.
func loadCatalogue(dir string, names []string) (*catalogue.Catalogue, error) {
	if len(names) == 0 {
		return catalogue.Load()
	}
	if len(names) > 1 {
		return nil, errors.New("configuration: catalogue: more than one directory is not supported yet")
	}
	return catalogue.LoadWith(os.DirFS(within(dir, names[0])))
}

// readPolicy reads a C2SP policy file.
func readPolicy(name string) (*proof.Policy, error) {
	data, err := readFile(name)
	if err != nil {
		return nil, err
	}
	p, err := proof.ParsePolicy(bytes.TrimSpace(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// greet says what an operator wants to know once the log answers.
func greet(env *Env, h server.Hello) {
	w := env.Stderr
	switch {
	case h.APIKey != "":
		fmt.Fprintf(w, `
This is a new log. Its administrator's key is shown this once; keep it:

    API key: %s

Its public key, which checks every receipt for ever; publish it:

    Log key: %s

`, h.APIKey, h.LogKey)
	case h.Records == 0:
		fmt.Fprintf(w, "custody: this is a new log, its public key is %s\n", h.LogKey)
	}
	fmt.Fprintf(w, "custody: %s serves %d events on http://%s\n", h.Origin, h.Records, h.Addr)
	if h.Link != "" {
		fmt.Fprintf(w, "custody: to look at it in a browser, within 15 minutes and once: %s\n", h.Link)
	}
	for _, p := range h.Proxies {
		name, addr, _ := strings.Cut(p, " ")
		fmt.Fprintf(w, "custody: proxy %s on http://%s\n", name, addr)
	}
}

// writeFile writes a file that appears whole: who waits for it never reads a
// part.
func writeFile(name string, data []byte) error {
	temp := name + ".tmp"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, name)
}

func configCommand() *command {
	return &command{
		name:  "config",
		usage: "check FILE",
		short: "check a configuration file",
		long: `Reads a configuration file as serve would and says what it means. Nothing is changed.

  custody config check custody.yaml`,
		run: func(_ context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			rest, err := parse(flags, args, 2, 2)
			if err != nil {
				return err
			}
			if rest[0] != "check" {
				flags.Usage()
				return errUsage
			}
			return checkConfig(env, rest[1])
		},
	}
}

func checkConfig(env *Env, name string) error {
	c, dir, err := readConfig(name)
	if err != nil {
		return err
	}
	types, err := loadCatalogue(dir, c.Catalogue)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, "%d event types are known\n", len(types.Types()))
	for _, s := range c.Sources {
		fmt.Fprintf(env.Stdout, "source %s is reported when it says nothing for %v\n", s.Name, time.Duration(s.SilentAfter))
	}
	if c.WitnessPolicy != "" {
		p, err := readPolicy(within(dir, c.WitnessPolicy))
		if err != nil {
			return err
		}
		for _, w := range p.Witnesses() {
			fmt.Fprintf(env.Stdout, "witness %s is asked at %s\n", w.Name, w.URL)
		}
	}
	for _, p := range c.Proxies {
		fmt.Fprintf(env.Stdout, "proxy %s (%s) serves on %s and forwards to %s\n", p.Name, p.Protocol, p.Listen, p.Upstream)
	}
	return nil
}

// exists reports whether there is something at path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
