package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// startLimit bounds a server's start on an empty directory.
const startLimit = 20 * time.Second

// A server is the real program on an empty data directory, as anybody would
// start it.
type server struct {
	cmd  *exec.Cmd
	addr string // host and port
	key  string // the administrator's
	data string
	said *bytes.Buffer // its standard error; to be read once ended is closed

	ended chan struct{}
	err   error // how it ended
}

// startServer starts the program and waits until it answers.
func startServer(ctx context.Context, t *trial) (*server, error) {
	s := &server{data: filepath.Join(t.dir, "data"), said: new(bytes.Buffer), ended: make(chan struct{})}
	addrFile := filepath.Join(t.dir, "addr")
	s.cmd = exec.Command(t.custody, "serve", "-data", s.data, "-listen", "127.0.0.1:0", "-addr-file", addrFile, "-origin", origin)
	out, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	keys := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(s.said, lines.Text())
			if _, key, ok := strings.Cut(lines.Text(), "API key: "); ok {
				keys <- strings.TrimSpace(key)
			}
		}
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	select {
	case s.key = <-keys:
	case <-s.ended:
		return nil, fmt.Errorf("the server ended at once: %w\n%s", s.err, s.said)
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), s.stop())
	}
	// The file is there before the key is shown.
	url, err := os.ReadFile(addrFile)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.addr = strings.TrimPrefix(strings.TrimSpace(string(url)), "http://")
	t.server = s.cmd.Process.Pid
	return s, nil
}

// stop ends the server as an operator would.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	if s.err != nil {
		return fmt.Errorf("the server ended: %w\n%s", s.err, s.said)
	}
	return nil
}

// signed returns how many events the latest checkpoint covers.
func (s *server) signed(ctx context.Context) (int64, error) {
	body, err := get(ctx, s.key, "http://"+s.addr+"/v1/checkpoint")
	if err != nil {
		return 0, err
	}
	var c struct {
		Size int64 `json:"size"`
	}
	return c.Size, json.Unmarshal(body, &c)
}

// settle waits until a signed checkpoint covers all events.
func (s *server) settle(ctx context.Context) error {
	body, err := get(ctx, s.key, "http://"+s.addr+"/v1/log")
	if err != nil {
		return err
	}
	var info struct {
		Size int64 `json:"size"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return err
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		size, err := s.signed(ctx)
		if err != nil || size >= info.Size {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
