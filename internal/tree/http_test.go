package tree_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/internal/disk"
)

// TestHandler checks paths, headers and statuses against C2SP tlog-tiles.
func TestHandler(t *testing.T) {
	list := makeRecords(600)
	dir := new(disk.Mem)
	tr := open(t, dir, list)
	server := httptest.NewServer(tr.Handler())
	defer server.Close()

	if status, _, _ := get(t, server.URL+"/checkpoint"); status != http.StatusServiceUnavailable {
		t.Errorf("checkpoint before the first = %d, want 503", status)
	}
	feed(t, tr, list, 100)
	signed := sign(t, tr)

	status, header, body := get(t, server.URL+"/checkpoint")
	if status != http.StatusOK || !bytes.Equal(body, signed.Message) || header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("checkpoint = %d %v %q", status, header, body)
	}
	want := makeOracle(t, list)
	tiles := map[string]tlog.Tile{
		"/tile/0/000":       {H: 8, L: 0, N: 0, W: 256},
		"/tile/0/002.p/88":  {H: 8, L: 0, N: 2, W: 88},
		"/tile/0/002.p/1":   {H: 8, L: 0, N: 2, W: 1},
		"/tile/0/001.p/255": {H: 8, L: 0, N: 1, W: 255},
		"/tile/1/000.p/2":   {H: 8, L: 1, N: 0, W: 2},
	}
	for path, tile := range tiles {
		wantTile(t, server.URL, path, want, tile)
	}
	for path, size := range map[string]int{"/tile/entries/000": 256 * 35, "/tile/entries/002.p/88": 88 * 35} {
		if status, _, body := get(t, server.URL+path); status != http.StatusOK || len(body) != size {
			t.Errorf("%s = %d, %d bytes, want %d", path, status, len(body), size)
		}
	}
	for _, path := range []string{
		"/tile/0/002", "/tile/0/002.p/89", "/tile/0/002.p/0", "/tile/0/002.p/256", "/tile/0/002.p/088",
		"/tile/1/000", "/tile/1/000.p/3", "/tile/2/000.p/1", "/tile/6/000.p/1", "/tile/63/000.p/1", "/tile/64/000",
		"/tile/0/0", "/tile/0/0000", "/tile/0/x000/000", "/tile/0/x000", "/tile/00/000", "/tile/-1/000", "/tile/data/000",
		"/tile/0/x001/x234/067", "/tile/0/x999/x999/x999/x999/x999/x999/999", "/tile/8/0/000", "/tile/", "/tile/entries/",
		"/tile/entries/003.p/1", "/tile/entries/002.p/89", "/tile/0/000/", "/",
	} {
		if status, _, _ := get(t, server.URL+path); status != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", path, status)
		}
	}
	response, err := http.Post(server.URL+"/checkpoint", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST checkpoint = %d, want 405", response.StatusCode)
	}
}

func wantTile(t *testing.T, base, path string, want oracle, tile tlog.Tile) {
	t.Helper()
	data, err := tlog.ReadTileData(tile, want)
	if err != nil {
		t.Fatal(err)
	}
	status, header, body := get(t, base+path)
	if status != http.StatusOK || !bytes.Equal(body, data) {
		t.Errorf("%s = %d, %d bytes, want %d", path, status, len(body), len(data))
	}
	if header.Get("Content-Type") != "application/octet-stream" || header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
		t.Errorf("%s has headers %v", path, header)
	}
}

func get(t *testing.T, address string) (status int, header http.Header, body []byte) {
	t.Helper()
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, body
}
