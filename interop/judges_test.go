package interop_test

import (
	_ "filippo.io/torchwood"
	_ "github.com/transparency-dev/tessera/client"
	_ "github.com/transparency-dev/tessera/fsck"
	_ "github.com/transparency-dev/tessera/api"
	_ "golang.org/x/crypto/ssh/agent"
	_ "golang.org/x/mod/sumdb/note"
	_ "zombiezen.com/go/sqlite/sqlitex"
)
