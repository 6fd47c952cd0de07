package tree

import (
	"crypto/sha256"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/custody-log/custody/event"
)

// Shape of the tree and of its files. They are part of the format.
const (
	tileWidth   = 256                  // hashes of a full tile, entries of a full bundle
	tileBits    = 8                    // a tile is a subtree of this height
	hashBytes   = tlog.HashSize        // 32; a commitment is as long
	bundleBytes = 2 + event.EntryBytes // one entry in a bundle: u16 length, entry
	levels      = 6                    // levels of tiles

	// MaxRecords bounds the tree: what six levels of tiles hold.
	MaxRecords = 1 << (tileBits * levels)
)

// An edge is the right edge of a tree: of every level the hashes of the tile
// that is not full. From it the tree grows; nothing to its left is needed.
type edge struct {
	size  int64 // leaves
	tiles [levels][]byte
}

// grow appends one record and adds to out, of each file, the row that the
// record completed: its commitment, and the roots of tiles that are now full.
func (e *edge) grow(c *event.Commitment, out *[levels][]byte) {
	out[0] = append(out[0], c[:]...)
	leaf := leafHash(c)
	e.growLeaf(&leaf, out)
}

// growLeaf is grow for a record of which only the leaf hash is known. It adds
// nothing to out[0].
func (e *edge) growLeaf(leaf *tlog.Hash, out *[levels][]byte) {
	e.size++
	h := *leaf
	for level := range levels {
		if level > 0 {
			out[level] = append(out[level], h[:]...)
		}
		e.tiles[level] = append(e.tiles[level], h[:]...)
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

// Before a commitment these make the leaf that is hashed, and an entry bundle.
const (
	leafPrefix   = "\x00\x01"     // RFC 6962's prefix of leaves, and the entry's own
	bundlePrefix = "\x00\x21\x01" // the length of the entry, and its prefix
)

// leafHash returns the hash of the leaf of a record with commitment c.
func leafHash(c *event.Commitment) tlog.Hash {
	var leaf [len(leafPrefix) + hashBytes]byte
	copy(leaf[:], leafPrefix)
	copy(leaf[len(leafPrefix):], c[:])
	return sha256.Sum256(leaf[:])
}

// hashLeaves makes leaf hashes of the commitments in row.
func hashLeaves(row []byte) {
	var leaf [len(leafPrefix) + hashBytes]byte
	copy(leaf[:], leafPrefix)
	for i := 0; i < len(row); i += hashBytes {
		copy(leaf[len(leafPrefix):], row[i:i+hashBytes])
		h := sha256.Sum256(leaf[:])
		copy(row[i:], h[:])
	}
}

// bundleOf returns the entry bundle of the commitments in row.
func bundleOf(row []byte) []byte {
	bundle := make([]byte, 0, len(row)/hashBytes*bundleBytes)
	for i := 0; i < len(row); i += hashBytes {
		bundle = append(bundle, bundlePrefix...)
		bundle = append(bundle, row[i:i+hashBytes]...)
	}
	return bundle
}
