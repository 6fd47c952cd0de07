package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/custody-log/custody/event"
)

// Bounds of fetching a log.
const (
	fetchAtOnce  = 8
	fetchTimeout = 30 * time.Second
	bundleWidth  = 256 // entries of a full bundle, C2SP tlog-tiles
	bundleRow    = 2 + event.EntryBytes
)

// A fetcher reads a log's public files.
type fetcher struct {
	base   string
	client *http.Client
}

func newFetcher(base string) *fetcher {
	return &fetcher{base: base, client: &http.Client{Timeout: fetchTimeout}}
}

// get returns the file at path, of at most limit bytes.
func (f *fetcher) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", path, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, nil
}

// root computes the root of the first size entries from the entries alone.
func (f *fetcher) root(ctx context.Context, size int64, progress func(done int64)) (tlog.Hash, error) {
	bundles := (size + bundleWidth - 1) / bundleWidth
	results := make(chan chan []tlog.Hash, fetchAtOnce) // in order
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(results)
		workers, ctx := errgroup.WithContext(ctx)
		workers.SetLimit(fetchAtOnce)
		for n := range bundles {
			result := make(chan []tlog.Hash, 1)
			select {
			case results <- result:
			case <-ctx.Done():
				return errors.Join(workers.Wait(), ctx.Err())
			}
			workers.Go(func() error {
				leaves, err := f.bundle(ctx, n, min(bundleWidth, size-n*bundleWidth))
				result <- leaves
				return err
			})
		}
		return workers.Wait()
	})
	var tree stack
	g.Go(func() error {
		for result := range results {
			select {
			case leaves := <-result:
				for _, leaf := range leaves {
					tree.add(leaf)
				}
			case <-ctx.Done():
				return ctx.Err()
			}
			if progress != nil {
				progress(tree.size)
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return tlog.Hash{}, err
	}
	return tree.root(), nil
}

// bundle returns the leaf hashes of the first width entries of bundle n.
func (f *fetcher) bundle(ctx context.Context, n, width int64) ([]tlog.Hash, error) {
	path := "/tile/entries/" + tileIndex(n)
	if width < bundleWidth {
		path += fmt.Sprintf(".p/%d", width)
	}
	data, err := f.get(ctx, path, bundleWidth*bundleRow)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != width*bundleRow {
		return nil, &falseError{fmt.Errorf("%s has %d bytes, want %d", path, len(data), width*bundleRow)}
	}
	leaves := make([]tlog.Hash, width)
	for i := range leaves {
		row := data[i*bundleRow:][:bundleRow]
		if binary.BigEndian.Uint16(row) != event.EntryBytes {
			return nil, &falseError{fmt.Errorf("%s: entry %d is not one of Custody", path, n*bundleWidth+int64(i))}
		}
		leaves[i] = tlog.RecordHash(row[2:])
	}
	return leaves, nil
}

// tileIndex returns n as C2SP tlog-tiles writes it: groups of three digits, all
// but the last after an "x".
func tileIndex(n int64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

// A stack computes the root of a growing tree: the roots of ever smaller
// perfect trees, from left to right.
type stack struct {
	size   int64
	hashes []tlog.Hash
}

func (t *stack) add(leaf tlog.Hash) {
	t.size++
	t.hashes = append(t.hashes, leaf)
	for n := t.size; n%2 == 0; n /= 2 {
		last := len(t.hashes) - 1
		t.hashes[last-1] = tlog.NodeHash(t.hashes[last-1], t.hashes[last])
		t.hashes = t.hashes[:last]
	}
}

func (t *stack) root() tlog.Hash {
	if len(t.hashes) == 0 {
		h, err := tlog.TreeHash(0, nil)
		if err != nil {
			panic("cli: " + err.Error()) // unreachable: the empty tree has a root
		}
		return h
	}
	root := t.hashes[len(t.hashes)-1]
	for i := len(t.hashes) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.hashes[i], root)
	}
	return root
}
