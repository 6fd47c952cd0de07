package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startLimit bounds the start of a server, and its stop.
const startLimit = 2 * time.Minute

// A postgresServer is a cluster in a directory of its own and the process that
// serves it over a socket in the same place. It listens to no network.
type postgresServer struct {
	command *exec.Cmd
	data    string
	socket  string // directory
	ended   chan error
	said    *bytes.Buffer // to be read once it ended
}

// postgresProgram returns the path of one of PostgreSQL's programs: of the
// newest installed as Debian does, or else as the shell would find it.
func postgresProgram(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err == nil && len(found) > 0 {
		return slices.Max(found), nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w; hint: apt-get install postgresql", err)
	}
	return path, nil
}

// postgresAccount returns whom the server runs as: it refuses to run as root.
// nil means as this process does.
func postgresAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// startPostgres starts the server, making a cluster if there is none yet: then
// it is fresh.
func startPostgres(ctx context.Context, e *env) (s *postgresServer, fresh bool, err error) {
	account, err := postgresAccount()
	if err != nil {
		return nil, false, err
	}
	if account != nil {
		if err := os.Chown(e.home, int(account.Uid), int(account.Gid)); err != nil {
			return nil, false, err
		}
	}
	s = &postgresServer{data: filepath.Join(e.home, "data"), socket: e.home, ended: make(chan error, 1), said: new(bytes.Buffer)}
	if _, err := os.Stat(s.data); err != nil {
		fresh = true
		if err := initPostgres(ctx, s.data, account); err != nil {
			return nil, false, err
		}
	}
	program, err := postgresProgram("postgres")
	if err != nil {
		return nil, false, err
	}
	s.command = exec.Command(program, s.arguments(e.options.Memory)...)
	s.command.Dir = e.home
	s.command.Stderr = s.said
	s.command.SysProcAttr = &syscall.SysProcAttr{Credential: account, Setpgid: true}
	if err := s.command.Start(); err != nil {
		return nil, false, err
	}
	go func() { s.ended <- s.command.Wait() }()
	if err := s.wait(ctx); err != nil {
		return nil, false, errors.Join(err, s.stop())
	}
	return s, fresh, nil
}

func initPostgres(ctx context.Context, data string, account *syscall.Credential) error {
	program, err := postgresProgram("initdb")
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, program, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
	c.Dir = filepath.Dir(data)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, said)
	}
	return nil
}

// arguments returns the settings that are not the defaults. fsync,
// synchronous_commit and full_page_writes are on by default.
func (s *postgresServer) arguments(cacheMiB int) []string {
	list := []string{"-D", s.data, "-k", s.socket}
	for _, setting := range []string{
		"listen_addresses=",
		fmt.Sprintf("shared_buffers=%dMB", cacheMiB),
		fmt.Sprintf("effective_cache_size=%dMB", 4*cacheMiB),
		fmt.Sprintf("maintenance_work_mem=%dMB", max(16, cacheMiB/4)),
		"work_mem=64MB",
		"max_wal_size=4GB",
		"random_page_cost=1.1", // the disk is no spinning one
		"max_connections=20",
	} {
		list = append(list, "-c", setting)
	}
	return list
}

// address returns where pgx finds the server.
func (s *postgresServer) address() string {
	return fmt.Sprintf("host=%s user=postgres dbname=postgres sslmode=disable", s.socket)
}

// wait waits until the server answers.
func (s *postgresServer) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.address())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-again.C:
		case ended := <-s.ended:
			s.ended <- ended
			return fmt.Errorf("postgres ended at once: %w\n%s", ended, s.said)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// stop ends the server in good order: it makes a checkpoint first.
func (s *postgresServer) stop() error {
	if err := s.command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-s.ended:
		if err != nil {
			return fmt.Errorf("%w\n%s", err, s.said)
		}
		return nil
	case <-time.After(startLimit):
		return errors.Join(errors.New("it did not end in time"), s.command.Process.Kill())
	}
}
