// Package interop has no code of its own. Its tests let programs that are not
// of our making judge a log that Custody made: they must accept it, and must
// reject it after one byte of it was changed.
//
//	torchwood    client of tlog-tiles, policies, tlog-proof
//	Tessera      client of tlog-tiles, fsck of a whole log
//	litewitness  a witness, as a process, over loopback HTTP
//
// It is a module of its own so that none of them becomes a dependency of
// Custody. Update its go.mod with "go mod tidy -e": the tests inside
// litewitness, which nothing here needs, import modules that are not always to
// be had.
package interop
