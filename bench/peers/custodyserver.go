package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A custodyServer is the program, as anybody would start it.
type custodyServer struct {
	command *exec.Cmd
	client  *http.Client
	data    string // directory
	url     string
	key     string        // the administrator's
	said    *bytes.Buffer // its standard error; to be read once ended is closed

	ended chan struct{}
	err   error // how it ended
}

// custodyProgram returns the program to measure, building it once if none was
// given.
func custodyProgram(ctx context.Context, e *env) (string, error) {
	if e.options.Custody != "" {
		return filepath.Abs(e.options.Custody)
	}
	program := filepath.Join(e.home, "custody")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/custody-log/custody").Output()
	if err != nil {
		return "", fmt.Errorf("where is the program's source: %w; hint: -custody", err)
	}
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./cmd/custody")
	c.Dir = strings.TrimSpace(string(out))
	if said, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, said)
	}
	return program, nil
}

// The files of a server in its home.
const (
	custodyData = "data"
	custodyKey  = "key" // the administrator's, which is shown once
	custodyAddr = "address"
)

// startCustody starts the program and waits until it answers.
func startCustody(ctx context.Context, e *env) (*custodyServer, error) {
	program, err := custodyProgram(ctx, e)
	if err != nil {
		return nil, err
	}
	s := &custodyServer{
		data: filepath.Join(e.home, custodyData), said: new(bytes.Buffer), ended: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: e.options.Writers, DisableCompression: true}},
	}
	address := filepath.Join(e.home, custodyAddr)
	if err := os.Remove(address); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	config := filepath.Join(e.home, "custody.yaml")
	if err := os.WriteFile(config, []byte(custodyConfig), 0o600); err != nil {
		return nil, err
	}
	s.command = exec.Command(program, "serve", "-data", s.data, "-config", config, "-listen", "127.0.0.1:0",
		"-addr-file", address, "-origin", "peers.example/log")
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := s.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	keys := make(chan string, 1)
	go s.listen(out, keys)
	if err := s.wait(ctx, address); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if err := s.learnKey(ctx, filepath.Join(e.home, custodyKey), keys); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// listen reads what the program says until it ends.
func (s *custodyServer) listen(out io.Reader, keys chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Fprintln(s.said, lines.Text())
		if _, key, ok := strings.Cut(lines.Text(), "API key: "); ok && len(keys) < cap(keys) {
			keys <- strings.TrimSpace(key)
		}
	}
	s.err = s.command.Wait()
	close(s.ended)
}

// wait waits until the program has said where it listens.
func (s *custodyServer) wait(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		if data, err := os.ReadFile(address); err == nil && bytes.HasPrefix(data, []byte("http")) {
			s.url = strings.TrimSpace(string(data))
			return nil
		}
		select {
		case <-look.C:
		case <-s.ended:
			return fmt.Errorf("custody ended at once: %w\n%s", s.err, s.said)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// learnKey sets the key: the one that was kept or, at the first start, the one
// that the program shows.
func (s *custodyServer) learnKey(ctx context.Context, file string, keys <-chan string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if data, err := os.ReadFile(file); err == nil {
		s.key = string(data)
		return nil
	}
	select {
	case s.key = <-keys:
		return os.WriteFile(file, []byte(s.key), 0o600)
	case <-s.ended:
		return fmt.Errorf("custody ended at once: %w\n%s", s.err, s.said)
	case <-ctx.Done():
		return fmt.Errorf("no key: %w", ctx.Err())
	}
}

// stop ends the program as an operator would.
func (s *custodyServer) stop() error {
	if err := s.command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(startLimit):
		return errors.Join(errors.New("custody did not end in time"), s.command.Process.Kill())
	}
	if s.err != nil {
		return fmt.Errorf("custody ended: %w\n%s", s.err, s.said)
	}
	return nil
}

// A request is one to the server.
type request struct {
	method, path, media, prefer string
	body                        []byte
}

// do sends a request and returns an answer that says yes.
func (s *custodyServer) do(ctx context.Context, q *request) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, s.url+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	if q.media != "" {
		r.Header.Set("Content-Type", q.media)
	}
	if q.prefer != "" {
		r.Header.Set("Prefer", q.prefer)
	}
	answer, err := s.client.Do(r)
	if err != nil || answer.StatusCode < http.StatusMultipleChoices {
		return answer, err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err == nil {
		err = fmt.Errorf("%s %s: %s: %s", q.method, q.path, answer.Status, bytes.TrimSpace(said))
	}
	switch answer.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return nil, fmt.Errorf("%w: %w", errUnable, err)
	}
	// A program of another version may not know a term.
	if answer.StatusCode == http.StatusBadRequest && bytes.Contains(said, []byte("expected ")) {
		return nil, fmt.Errorf("%w: %w", errUnable, err)
	}
	return nil, err
}

// body returns the answer to a question.
func (s *custodyServer) body(ctx context.Context, path string, values url.Values) ([]byte, error) {
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	answer, err := s.do(ctx, &request{method: http.MethodGet, path: path})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// get reads the answer to a question into to.
func (s *custodyServer) get(ctx context.Context, path string, values url.Values, to any) error {
	body, err := s.body(ctx, path, values)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, to)
}

// post sends JSON and reads the answer to its end.
func (s *custodyServer) post(ctx context.Context, path string, body []byte) error {
	return s.send(ctx, http.MethodPost, path, body, nil)
}

// send sends JSON and reads the answer into to, unless that is nil.
func (s *custodyServer) send(ctx context.Context, method, path string, body []byte, to any) error {
	answer, err := s.do(ctx, &request{method: method, path: path, media: "application/json", body: body})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && to != nil {
		err = json.Unmarshal(said, to)
	}
	return err
}

// custodyConfig keeps everything for ever, so that the other peers and the
// program have the same events until the purge is measured.
const custodyConfig = `evidence_hold: 1d
retention:
  user-auth: {keep: forever}
  user-security: {keep: forever}
  permanent-skeleton: {keep_personal: forever}
  admin: {keep: forever}
  meta: {keep: forever}
  bulk: {keep: forever}
`
