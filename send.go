package custody

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// Limits of one exchange with the log.
const (
	tryTimeout     = 30 * time.Second       // one try, beyond what the log was asked to wait
	firstRetry     = 100 * time.Millisecond // the wait after the first try; each further one is twice as long
	maxRetry       = 5 * time.Second        // between two tries
	maxAnswerBytes = 8 << 20                // 8 MiB
	compressAbove  = 4 << 10                // 4 KiB; a smaller body is sent as it is
)

// A request is one question to the log, which can be asked again.
type request struct {
	method, path string // path with its query
	body         []byte
	contentType  string
	brief        bool          // positions of a batch are not wanted, only the first and last
	wait         time.Duration // what the log was asked to wait
	limit        int64         // bytes of the answer; 0 means maxAnswerBytes
	once         bool          // must not be sent twice

	encoding string // of body
}

// ask sends r until it is answered, for as long as ctx and the patience of the
// client last, and decodes the answer into answer.
func (c *Client) ask(ctx context.Context, r *request, answer any) error {
	r.compress(c)
	started := time.Now()
	for retry := firstRetry; ; retry = min(2*retry, maxRetry) {
		err := c.try(ctx, r, answer)
		if err == nil || r.once || !isPassing(ctx, err) {
			return err
		}
		pause := jitter(retry)
		if e := problem(err); e != nil {
			pause = max(pause, e.RetryAfter)
		}
		if waited := time.Since(started); waited+pause > c.patience {
			if c.patience == 0 {
				return err
			}
			return fmt.Errorf("gave up after %v: %w", waited.Round(time.Millisecond), err)
		}
		if !sleep(ctx, pause) {
			return fmt.Errorf("%w, after: %w", ctx.Err(), err)
		}
	}
}

// try sends r once.
func (c *Client) try(ctx context.Context, r *request, answer any) error {
	data, err := c.exchange(ctx, r)
	if err != nil {
		return err
	}
	if raw, ok := answer.(*json.RawMessage); ok {
		*raw = data
		return nil
	}
	if text, ok := answer.(*[]byte); ok {
		*text = data
		return nil
	}
	return decode(data, answer)
}

// A checked answer says what of it cannot be an answer of a log.
type checked interface{ check() error }

// decode reads an answer. What is not an answer of a log, for example the page
// of a proxy that says 200 to everything, is an error.
func decode(data []byte, answer any) error {
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%w: %q", errNotALog, shorten(string(data)))
	}
	if a, ok := answer.(checked); ok {
		if err := a.check(); err != nil {
			return fmt.Errorf("%w: %w: %q", errNotALog, err, shorten(string(data)))
		}
	}
	return nil
}

var errNotALog = errors.New("the answer is not one of a log")

// exchange sends r once and returns the body of the answer.
func (c *Client) exchange(ctx context.Context, r *request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout+r.wait)
	defer cancel()
	resp, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	limit := r.limit
	if limit == 0 {
		limit = maxAnswerBytes
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", errNotALog, limit)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, readProblem(resp, data)
	}
	return data, nil
}

// open sends r and returns the answer with its body still to be read.
func (c *Client) open(ctx context.Context, r *request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	req.Header.Set("User-Agent", "custody-go")
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.encoding != "" {
		req.Header.Set("Content-Encoding", r.encoding)
	}
	if r.brief {
		req.Header.Set("Prefer", "return=minimal")
	}
	return c.http.Do(req)
}

// compress makes the body of r smaller if that is worth it.
func (r *request) compress(c *Client) {
	if len(r.body) > compressAbove && r.encoding == "" {
		r.body, r.encoding = c.zstd.EncodeAll(r.body, nil), "zstd"
	}
}

// isPassing reports whether it is worth trying again after err.
func isPassing(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if e := problem(err); e != nil {
		return e.passing()
	}
	var certificate *tls.CertificateVerificationError
	return !errors.As(err, &certificate) // nobody who is not the log becomes it by waiting
}

// jitter returns a time between half of d and d: callers that failed together
// must not come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// sleep waits for d and reports whether ctx lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
