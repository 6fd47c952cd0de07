// Package server puts the parts together and runs them. It is the only place
// that knows all of them.
//
// # The data directory
//
//	lock         held by the one process that may write here
//	keys.json    API keys, hashed                     see internal/auth
//	signing/     the keys that sign checkpoints       see internal/tree
//	journal/     the records that are not sealed yet  see docs/format/journal.md
//	store/       all others, and how they are found   see docs/format/segment.md
//	retain/      policies, holds, erasures            see docs/retention.md
//	tree/        hashes and the last checkpoint       see docs/format/tree.md
//	witness/     what each witness has cosigned       see internal/witness
//	proxy-NAME/  the proxy's key and what it learned  see internal/proxy
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/config"
	"github.com/custody-log/custody/internal/denial"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/intake"
	"github.com/custody-log/custody/internal/journal"
	"github.com/custody-log/custody/internal/keeper"
	"github.com/custody-log/custody/internal/reading"
	"github.com/custody-log/custody/internal/signin"
	"github.com/custody-log/custody/internal/store"
	"github.com/custody-log/custody/internal/tree"
	"github.com/custody-log/custody/internal/view"
	"github.com/custody-log/custody/proof"
)

// A Config is everything an operator can choose.
type Config struct {
	Data      disk.FS              // the data directory; taken with its lock
	Listen    net.Listener         // where to serve HTTP; closed when Run returns
	Origin    string               // name of a new log; one that is there keeps its own
	Version   string               // of the program
	File      *config.Config       // the configuration file
	Catalogue *catalogue.Catalogue // with the operator's own types
	Policy    *proof.Policy        // which witnesses to ask; nil: none
	Log       *slog.Logger

	// Country tells the country of an address, see [query.Derive]. Nil: none is
	// known.
	Country func(address [16]byte) string

	// FileKey, if not nil, is the key with which everything in Data but its lock is
	// encrypted on the disk. A log begins with it, or goes on without.
	FileKey *disk.FileKey

	// ClientSecret is what the OpenID Connect provider knows this log by; "" if it
	// is a public client.
	ClientSecret string

	// Progress, if not nil, is told how many of how many records the start has
	// checked.
	Progress func(done, all journal.Seq)

	// Grown, if not nil, is told now and then how many records there are.
	Grown func(records journal.Seq)

	// Ready, if not nil, is called once the log answers requests.
	Ready func(Hello)
}

// A Hello is what an operator wants to know when the log starts.
type Hello struct {
	Addr    string      // the address it serves on
	Origin  string      // the log's name
	LogKey  string      // the log's public key
	APIKey  string      // an administrator's key, made now because there was none; shown once
	Link    string      // with which its owner signs in to the console, if APIKey is there; good once, for minutes
	Records journal.Seq // there at start
	Proxies []string    // name and address of each
}

// A Server is a log that is open.
type Server struct {
	cfg      Config
	metrics  *prometheus.Registry
	keyDir   disk.FS
	keys     *auth.Keys
	firstKey *newKey // made by this start, or nil
	signing  *tree.Keys
	files    *journal.Files
	journal  *journal.Journal
	desk     *intake.Desk
	tree     *tree.Tree
	store    *store.Store
	keeper   *keeper.Keeper
	room     *reading.Room
	denials  *denial.Book
	signin   *signin.Signin
	started  time.Time
	witness  *cosigning // nil without a policy
	proxies  []*gateway
	lock     io.Closer

	stopping chan struct{} // closed when the doors are about to close
	failed   atomic.Pointer[string]
}

// Open opens the log in cfg.Data, creating it if there is none, and checks all
// its records against the last signed checkpoint. It refuses a log whose
// records were changed, shortened or reordered, and says which one.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, metrics: prometheus.NewRegistry(), stopping: make(chan struct{}), started: time.Now().UTC()}
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.metrics.MustRegister(newLagCollector(s))
	return s, nil
}

// open opens part after part, from the ground up.
func (s *Server) open(ctx context.Context) (err error) {
	if s.lock, err = disk.Lock(s.cfg.Data); err != nil {
		return err
	}
	if err := s.encrypt(); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{
		s.openKeys, s.openKeeper, s.openStore, s.openJournal, s.openTree, s.openDesk, s.connectKeeper, s.openRoom, s.openPeople,
		s.openWitness, s.openGateways, s.openFirstKey,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// encrypt lets everything after it see the data directory through the file key.
func (s *Server) encrypt() (err error) {
	if err := disk.MarkEncrypted(s.cfg.Data, s.cfg.FileKey); err != nil || s.cfg.FileKey == nil {
		return err
	}
	s.cfg.Data, err = disk.Encrypt(s.cfg.Data, s.cfg.FileKey)
	return err
}

func (s *Server) openJournal(context.Context) error {
	dir, err := s.cfg.Data.Sub("journal")
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if s.files, err = journal.OpenFiles(dir, journal.From(s.store.Sealed())); err != nil {
		return err
	}
	s.journal = journal.New(s.files)
	s.journal.SetPast(s.store)
	return nil
}

func (s *Server) openTree(ctx context.Context) error {
	dir, err := s.cfg.Data.Sub("tree")
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.tree, err = tree.Open(ctx, tree.Config{
		Dir:       dir,
		Head:      tree.FileHead(dir),
		Keys:      s.signing,
		Records:   s.journal,
		From:      s.files.First(),
		EntryOf:   tree.StoredEntry,
		Log:       s.cfg.Log,
		Witnessed: s.cfg.Policy != nil,
	})
	return err
}

// openDesk reads the records that are not sealed once more, for the desk, which
// also computes their commitments anew: the tree has compared what they carry.
func (s *Server) openDesk(ctx context.Context) (err error) {
	sources := make([]intake.Source, 0, len(s.cfg.File.Sources))
	for _, source := range s.cfg.File.Sources {
		sources = append(sources, intake.Source{Name: source.Name, SilentAfter: time.Duration(source.SilentAfter)})
	}
	var progress func(journal.Seq)
	if all := s.journal.Size(); s.cfg.Progress != nil {
		progress = func(done journal.Seq) { s.cfg.Progress(done, all) }
	}
	snapshot, err := s.store.DeskSnapshot()
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	s.desk, err = intake.Open(ctx, intake.Config{
		Log: s.cfg.Log, Journal: s.journal, Catalogue: s.cfg.Catalogue, Sources: sources,
		OpenKey: s.store.OpenKey(), Sealed: s.store.Sealed(), Known: s.store.Known, Snapshot: snapshot,
		Anonymise: intake.Anonymisation{V4: s.cfg.File.Anonymise.IPv4, V6: s.cfg.File.Anonymise.IPv6},
	}, progress)
	if err != nil {
		return err
	}
	history, err := intake.OpenHistory(snapshot)
	s.store.Connect(store.Parts{
		Journal: s.journal, Tail: s.files, Desk: history, Tree: s.tree,
		Signed: func() journal.Seq { return journal.Seq(s.tree.Latest().N) },
	})
	return err
}

// views returns all views.
func (s *Server) views() []view.View { return []view.View{s.tree, s.store, s.keeper} }

// Run serves the log until ctx ends or a part of it fails, and closes it.
//
// It stops in the order events flow: first the doors, then the journal and the
// views. So nobody is told "durable" by a server that is going away.
func (s *Server) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	log := s.cfg.Log
	ground, front, back := newStage(ctx), newStage(ctx), newStage(ctx)
	ground.run(func(ctx context.Context) error { return s.note(s.journal.Run(ctx)) })
	for _, v := range s.views() {
		back.run(func(ctx context.Context) error { return s.note(view.Follow(ctx, log, s.journal, v)) })
	}
	back.run(func(ctx context.Context) error { return s.note(s.tree.Run(ctx)) })
	back.run(func(ctx context.Context) error { return s.note(s.store.Run(ctx)) })
	if s.witness != nil {
		back.run(s.witness.Run)
	}
	front.run(func(ctx context.Context) error { return s.note(s.desk.Run(ctx)) })
	front.run(s.keeper.Run)
	front.run(s.denials.Run)
	if s.cfg.Grown != nil {
		front.run(s.tellGrowth)
	}
	for _, p := range s.proxies {
		front.run(p.proxy.Run)
	}
	inside, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for _, part := range []*stage{ground, front, back} {
		context.AfterFunc(part.ctx, stop) //nolint:contextcheck // a stage outlives the context it comes from; one that fails ends all
	}

	hello := s.hello()
	err = s.keeper.Replay(inside)
	if err == nil {
		err = s.greet(inside, hello.Records)
	}
	if err == nil {
		if s.cfg.Ready != nil {
			s.cfg.Ready(hello)
		}
		log.InfoContext(ctx, "serving", "addr", hello.Addr, "origin", hello.Origin, "records", int64(hello.Records))
		err = s.serve(ctx, inside)
	}
	err = errors.Join(err, front.end(), ground.end())
	s.settle(back.ctx) //nolint:contextcheck // ctx has ended, and the views go on until they have caught up
	return errors.Join(err, back.end())
}

// growthInterval is how often somebody is told how the log has grown.
const growthInterval = 10 * time.Second

func (s *Server) tellGrowth(ctx context.Context) error {
	tick := time.NewTicker(growthInterval)
	defer tick.Stop()
	for {
		s.cfg.Grown(s.journal.Size())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// A stage is the parts of the server that stop together.
type stage struct {
	ctx  context.Context
	stop context.CancelFunc
	g    *errgroup.Group
}

func newStage(ctx context.Context) *stage {
	inside, stop := context.WithCancel(context.WithoutCancel(ctx))
	g, inside := errgroup.WithContext(inside)
	return &stage{inside, stop, g}
}

func (s *stage) run(part func(ctx context.Context) error) {
	s.g.Go(func() error { return part(s.ctx) })
}

// end stops the parts and returns how they ended.
func (s *stage) end() error {
	s.stop()
	return s.g.Wait()
}

// settleTime is how long the newest records may take to be signed over when the
// server ends.
const settleTime = 2 * time.Second

// settle waits until the tree has signed all records, so that what is left
// behind can be checked whole.
func (s *Server) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if n := s.journal.Size(); n > 0 {
		_ = s.tree.WaitFor(ctx, n-1) // what is not signed now will be at the next start
	}
}

// note remembers why the log stopped taking events, for who asks.
func (s *Server) note(err error) error {
	if err != nil {
		why := "a part of the log failed; see its own messages"
		s.failed.CompareAndSwap(nil, &why)
	}
	return err
}

// trouble returns what keeps the log from taking events.
func (s *Server) trouble() []string {
	if why := s.failed.Load(); why != nil {
		return []string{*why}
	}
	return nil
}

func (s *Server) hello() Hello {
	h := Hello{
		Addr:    s.cfg.Listen.Addr().String(),
		Origin:  s.signing.Origin(),
		LogKey:  s.signing.Verifiers()[0],
		Records: s.journal.Size(),
	}
	if s.firstKey != nil {
		h.APIKey = s.firstKey.text
		h.Link, _, _ = s.signinLink(event.Party{Type: "admin", ID: s.firstKey.ID, Name: s.firstKey.Name}) // made in memory
	}
	for _, p := range s.proxies {
		h.Proxies = append(h.Proxies, p.name+" "+p.listen.Addr().String())
	}
	return h
}

// close releases what Open took.
func (s *Server) close() error {
	var errs []error
	for _, p := range s.proxies {
		errs = append(errs, ignoreClosed(p.listen.Close()))
	}
	if s.tree != nil {
		errs = append(errs, s.tree.Close())
	}
	if s.files != nil {
		errs = append(errs, s.files.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// api returns the API over all parts.
func (s *Server) api() *api.API {
	a := &api.API{
		Log: s.cfg.Log, Version: s.cfg.Version, Journal: s.journal, Desk: s.desk, Store: s.store, Room: s.room, Tree: s.tree, Keeper: s.keeper,
		Keys: s.keys, KeyDir: s.keyDir, Catalogue: s.cfg.Catalogue, Views: s.views(), Registry: s.metrics,
		Trouble: s.trouble, Stopping: s.stopping,
		Denied: s.denials.Note, Limiter: s.signin.Limit, Address: s.remote, SigninLink: s.signinLink, Revoked: s.revoked,
	}
	if s.witness != nil {
		a.Witnessed, a.Witnesses = s.witness.witnessed, s.witness.states
	}
	return a
}
