package tree

import (
	"crypto/sha256"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
)

// Shape of the tree's files. They are part of the format.
const (
	tileWidth   = 256                  // hashes of a full tile, entries of a full bundle
	tileBits    = 8                    // a tile is a subtree of this height
	hashBytes   = tlog.HashSize        // 32
	bundleBytes = 2 + event.EntryBytes // one entry in a bundle: u16 length, entry
	levels      = 6                    // level files

	// MaxRecords bounds the tree: what six levels of tiles hold.
	MaxRecords = 1 << (tileBits * levels)
)

// An edge is the right edge of a tree: of every level the hashes of the tile
// that is not full. From it the tree grows; nothing to its left is needed.
type edge struct {
	size  int64 // leaves
	tiles [levels][]byte
}

// grow appends one leaf and adds to out, of each level, the hashes that the
// leaf completed.
func (e *edge) grow(leaf *tlog.Hash, out *[levels][]byte) {
	e.size++
	h := *leaf
	for level := range levels {
		e.tiles[level] = append(e.tiles[level], h[:]...)
		out[level] = append(out[level], h[:]...)
		if len(e.tiles[level]) < tileWidth*hashBytes {
			return
		}
		h = perfectRoot(e.tiles[level])
		e.tiles[level] = e.tiles[level][:0]
	}
}

// root returns the root of the tree.
func (e *edge) root() tlog.Hash {
	if e.size == 0 {
		return sha256.Sum256(nil)
	}
	var root tlog.Hash
	empty := true
	for level := range levels {
		rest := e.tiles[level]
		// A partial tile is a row of ever smaller perfect trees. The smallest
		// is the rightmost, so it is folded in first.
		for bit := hashBytes; bit < tileWidth*hashBytes; bit *= 2 {
			if len(rest)&bit == 0 {
				continue
			}
			h := perfectRoot(rest[len(rest)-bit:])
			rest = rest[:len(rest)-bit]
			if empty {
				root, empty = h, false
			} else {
				root = tlog.NodeHash(h, root)
			}
		}
	}
	return root
}

// perfectRoot returns the root of the perfect tree over row, whose length is
// a power of two of hashes, at most a tile.
func perfectRoot(row []byte) tlog.Hash {
	if len(row) == hashBytes {
		return tlog.Hash(row)
	}
	var scratch [tileWidth / 2 * hashBytes]byte
	var node [1 + 2*hashBytes]byte
	node[0] = 0x01 // RFC 6962
	for {
		half := scratch[:len(row)/2]
		for i := 0; i < len(half); i += hashBytes {
			copy(node[1:], row[2*i:2*i+2*hashBytes])
			h := sha256.Sum256(node[:])
			copy(half[i:], h[:])
		}
		if len(half) == hashBytes {
			return tlog.Hash(half)
		}
		row = half
	}
}

// leafHash returns the hash of the leaf for entry.
func leafHash(entry *event.Entry) tlog.Hash {
	var leaf [1 + event.EntryBytes]byte // the first byte is 0x00, RFC 6962
	copy(leaf[1:], entry[:])
	return sha256.Sum256(leaf[:])
}

// appendBundle appends entry as it stands in an entry bundle.
func appendBundle(b []byte, entry *event.Entry) []byte {
	b = append(b, 0, event.EntryBytes)
	return append(b, entry[:]...)
}
