package proxy

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	sampleEvery     = 16  // of so many documents one is looked at
	maxForeignHosts = 64  // remembered; a registry has a handful at most
	maxAddressBytes = 512 // of an address, as far as its host can reach
)

// A watch notices when the registry's documents send clients to another
// address than the proxy's: what happens there, the log never hears of.
type watch struct {
	members []string // names of JSON members that hold addresses
	log     *slog.Logger
	seen    atomic.Int64 // documents that could be sampled
	count   atomic.Int64 // addresses that pointed elsewhere

	mu    sync.Mutex
	hosts map[string]bool // where they pointed
}

func newWatch(members []string, log *slog.Logger) *watch {
	return &watch{members: members, log: log, hosts: make(map[string]bool)}
}

// foreign returns the hosts that documents pointed to, sorted.
func (w *watch) foreign() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.hosts))
}

// address notices where address points, unless it is relative or points at one
// of home.
func (w *watch) address(address string, home ...string) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || slices.ContainsFunc(home, func(h string) bool { return sameHost(u, h) }) {
		return
	}
	w.count.Add(1)
	w.mu.Lock()
	known := w.hosts[u.Host] || len(w.hosts) >= maxForeignHosts
	if !known {
		w.hosts[u.Host] = true
	}
	w.mu.Unlock()
	if !known {
		w.log.Warn("the registry sends clients round the proxy", "host", u.Host, "want", home)
	}
}

// sameHost reports whether u points at home, which may leave out a usual port.
func sameHost(u *url.URL, home string) bool {
	for _, port := range []string{":80", ":443"} {
		home = strings.TrimSuffix(home, port)
	}
	host := strings.TrimSuffix(strings.TrimSuffix(u.Host, ":80"), ":443")
	return strings.EqualFold(host, home)
}

// sample returns a reader of addresses for one answer in [sampleEvery], else nil.
func (w *watch) sample(r *http.Request, res *http.Response, home ...string) io.Writer {
	if r.Method != http.MethodGet || res.StatusCode != http.StatusOK || len(w.members) == 0 ||
		!strings.Contains(res.Header.Get("Content-Type"), "json") {
		return nil
	}
	if (w.seen.Add(1)-1)%sampleEvery != 0 {
		return nil
	}
	return w.reader(home...)
}

func (w *watch) reader(home ...string) *addressReader {
	return &addressReader{watch: w, home: home}
}

// An addressReader finds the values of certain members in JSON that is written
// to it, whatever their depth, without holding more than one short string.
type addressReader struct {
	watch *watch
	home  []string

	text    []byte // the string being read, or just read
	inside  bool   // a string is being read
	escaped bool
	named   bool // text is the name of a member that holds an address
	ended   bool // a string has just ended
}

// Write implements [io.Writer]; it never fails.
func (a *addressReader) Write(data []byte) (int, error) {
	for _, c := range data {
		switch {
		case a.inside:
			a.inString(c)
		case c == '"':
			a.inside, a.ended, a.text = true, false, a.text[:0]
		case c == ':' && a.ended:
			a.ended, a.named = false, slices.Contains(a.watch.members, string(a.text))
		case c > ' ':
			a.ended, a.named = false, false
		}
	}
	return len(data), nil
}

func (a *addressReader) inString(c byte) {
	switch {
	case a.escaped:
		a.escaped = false
	case c == '\\':
		a.escaped = true
	case c == '"':
		a.inside, a.ended = false, true
		if a.named {
			a.found()
		}
		a.named = false
		return
	}
	if len(a.text) < maxAddressBytes {
		a.text = append(a.text, c)
	}
}

func (a *addressReader) found() {
	quoted := slices.Concat([]byte{'"'}, a.text, []byte{'"'})
	var address string
	if json.Unmarshal(quoted, &address) != nil { // cut in the middle of an escape
		address = strings.ReplaceAll(string(a.text), `\/`, "/")
	}
	a.watch.address(address, a.home...)
}
