package tree

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Cache lifetimes. A tile of one width never changes; the checkpoint does all
// the time.
const (
	cacheTile       = "public, max-age=31536000, immutable"
	cacheCheckpoint = "no-cache"
)

// Handler serves the tree as C2SP tlog-tiles. Its paths are
//
//	GET /checkpoint
//	GET /tile/<L>/<N>[.p/<W>]
//	GET /tile/entries/<N>[.p/<W>]
//
// with <N> in groups of three digits, as in x001/x234/067. Each path has one
// spelling. What no signed checkpoint needs is 404. Answers are not compressed:
// they are hashes.
func (t *Tree) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkpoint", t.serveCheckpoint)
	mux.HandleFunc("GET /tile/", t.serveTile)
	return mux
}

func (t *Tree) serveCheckpoint(w http.ResponseWriter, _ *http.Request) {
	signed := t.Checkpoint()
	if signed.Message == nil {
		http.Error(w, "no checkpoint was signed yet", http.StatusServiceUnavailable)
		return
	}
	respond(w, "text/plain; charset=utf-8", cacheCheckpoint, signed.Message)
}

func (t *Tree) serveTile(w http.ResponseWriter, r *http.Request) {
	tile, err := parseTilePath(r.URL.Path)
	if err != nil {
		http.Error(w, "no such tile", http.StatusNotFound)
		return
	}
	var data []byte
	if tile.L < 0 {
		data, err = t.ReadEntries(tile.N, tile.W)
	} else {
		data, err = t.ReadTile(tile.L, tile.N, tile.W)
	}
	switch {
	case errors.Is(err, ErrNoTile):
		http.Error(w, "no such tile", http.StatusNotFound)
	case err != nil:
		t.log.ErrorContext(r.Context(), "tile cannot be read", "path", r.URL.Path, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	default:
		respond(w, "application/octet-stream", cacheTile, data)
	}
}

// parseTilePath reads a path of tlog-tiles, which differs from that of
// [tlog.ParseTilePath] in that it has no tile height.
func parseTilePath(path string) (tlog.Tile, error) {
	rest := strings.TrimPrefix(path, "/tile/")
	if after, ok := strings.CutPrefix(rest, "entries/"); ok {
		return tlog.ParseTilePath("tile/8/data/" + after)
	}
	if strings.HasPrefix(rest, "data/") {
		return tlog.Tile{}, ErrNoTile
	}
	return tlog.ParseTilePath("tile/8/" + rest)
}

func respond(w http.ResponseWriter, kind, cache string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", cache)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // a client that went away gets nothing, and needs nothing
}
