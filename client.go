package custody

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/proof"
)

// DefaultPatience is how long a call goes on trying while the log is away,
// when its context does not end sooner.
const DefaultPatience = 30 * time.Second

// maxConnsKept is how many idle connections to the log are kept for the next
// caller.
const maxConnsKept = 64

// A Client talks to one log. Its methods may be called concurrently.
type Client struct {
	base     string // address of the log, without a trailing slash
	key      string
	http     *http.Client
	patience time.Duration
	policy   *proof.Policy // nil: nothing can be checked
	memory   memory
	zstd     *zstd.Encoder
}

// An Option changes what [New] does otherwise.
type Option func(*Client) error

// WithLogKey lets the client check what the log says with the log's public
// key. Several keys are those of one log while it changes them. Get the key
// from whoever runs the log, not over the connection it is meant to check.
func WithLogKey(vkeys ...string) Option {
	return func(c *Client) (err error) {
		c.policy, err = proof.KeyPolicy(vkeys...)
		return err
	}
}

// WithPolicy is [WithLogKey] with a policy, which can also demand that
// witnesses cosigned. See [proof.ParsePolicy].
func WithPolicy(p *proof.Policy) Option {
	return func(c *Client) error {
		c.policy = p
		return nil
	}
}

// WithMemory keeps the newest checkpoint that the client saw in the directory
// at path, so that a log which takes back or changes what it once showed is
// found out after a restart as well. Processes may share a directory. The
// directory is made if its parent is there.
func WithMemory(path string) Option {
	return func(c *Client) error {
		fs, err := openDirectory(path)
		c.memory.fs = fs
		return err
	}
}

// WithHTTPClient makes the client use h, for example for certificates of your
// own. h should have no Timeout: tailing the log and waiting for receipts take
// as long as they take. Redirects are not followed.
func WithHTTPClient(h *http.Client) Option {
	return func(c *Client) error {
		own := *h
		c.http = &own
		return nil
	}
}

// WithPatience sets how long a call goes on trying while the log is away, when
// its context does not end sooner. 0 means one try.
func WithPatience(d time.Duration) Option {
	return func(c *Client) error {
		c.patience = d
		return nil
	}
}

// New returns a client of the log at address, for example
// "https://log.example.com", that shows it the API key. It connects to nothing
// yet. Without a key, only what the log tells everybody can be read.
func New(address, key string, opts ...Option) (*Client, error) {
	base, err := checkAddress(address)
	if err != nil {
		return nil, fmt.Errorf("custody: new client: %w", err)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("custody: new client: the key has a space, a line end or another character that no key has")
	}
	c := &Client{base: base, key: key, patience: DefaultPatience, memory: newMemory()}
	for _, opt := range opts {
		if err := opt(c); err != nil {
			return nil, fmt.Errorf("custody: new client: %w", err)
		}
	}
	if c.http == nil {
		c.http = &http.Client{Transport: newTransport()}
	}
	// A redirected POST turns into a GET, and a key must not follow anybody.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
		return nil, fmt.Errorf("custody: new client: %w", err)
	}
	return c, nil
}

func checkAddress(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%q is not an http or https address", address)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("address of %s has more than a host and a path", u.Host)
	}
	return strings.TrimRight(address, "/"), nil
}

// newTransport returns the standard transport with room for many callers. The
// standard one keeps two connections, and the others are opened anew each time.
func newTransport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // the program put something of its own there
		return http.DefaultTransport
	}
	t := standard.Clone()
	t.MaxIdleConnsPerHost = maxConnsKept
	return t
}

// openDirectory returns the directory at path, making it if need be.
func openDirectory(path string) (disk.FS, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if fs, err := disk.Dir(path); err == nil {
		return fs, nil
	}
	parent, err := disk.Dir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return parent.Sub(filepath.Base(path))
}
