package segment

import (
	"encoding/binary"
	"hash/crc32"
)

// Change adds to a byte of a file, of its sections or its footer, and makes all
// its sums right again, if it is a file.
func Change(file []byte, at int, by byte) {
	if len(file) < trailerBytes {
		return
	}
	end := len(file) - trailerBytes
	size, footer := binary.LittleEndian.Uint64(file[end:]), uint64(binary.LittleEndian.Uint32(file[end+8:]))
	pages := (size + pageBytes - 1) / pageBytes
	if size > uint64(end) || size+footer+4*pages != uint64(end) || size+footer == 0 {
		return
	}
	file[at%int(size+footer)] += by
	for i := range pages {
		page := file[i*pageBytes : min((i+1)*pageBytes, size)]
		binary.LittleEndian.PutUint32(file[size+footer+4*i:], crc32.Checksum(page, castagnoli))
	}
	binary.LittleEndian.PutUint32(file[end+12:], crc32.Checksum(file[size:end+12], castagnoli))
}

// EndRound ends the round of a cache as if its time were up.
func (c *Cache) EndRound() {
	c.ends.Store(0)
	c.begin()
}

// Mapped returns how many files are in memory.
func (c *Cache) Mapped() int { return len(c.maps) }

// Round returns how many rounds there were, the present one included.
func (c *Cache) Round() uint32 { return c.round.Load() }
