package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/export"
	"github.com/custody-log/custody/proof"
)

// maxManifestFile is a little more than a manifest has, so that one that is too
// large is said to be no manifest.
const maxManifestFile = export.MaxManifestBytes + 1

// verifyManifest checks the files of an export. No key is needed: a manifest is
// not signed. If one is known, the checkpoint in it is checked too.
func verifyManifest(env *Env, path, key string, asJSON bool) error {
	dirPath, name := filepath.Split(path)
	if dirPath == "" {
		dirPath = "."
	}
	dir, err := disk.Dir(dirPath)
	if err != nil {
		return err
	}
	f, err := dir.OpenRead(name)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxManifestFile))
	if err != nil {
		return err
	}
	m, err := export.ParseManifest(data)
	if err != nil {
		return &falseError{err}
	}
	if err := m.Verify(dir); err != nil {
		return asFalse(err)
	}
	signed := false
	if key != "" || env.Getenv("CUSTODY_LOG_KEY") != "" {
		p, err := policy(env, key)
		if err != nil {
			return err
		}
		if _, err := proof.OpenCheckpoint([]byte(m.Checkpoint), p); err != nil {
			return &falseError{fmt.Errorf("the checkpoint in it: %w", err)}
		}
		signed = true
	}
	if asJSON {
		return printJSON(env.Stdout, map[string]any{
			"origin": m.Origin, "events": m.Rows, "files": len(m.Files), "bytes": m.Bytes, "query": m.Query, "complete": m.Complete, "signed": signed,
		})
	}
	fmt.Fprintf(env.Stdout, "yes: %d of %d files are as they were written, with %s of %s\n", len(m.Files), len(m.Files), eventsOf(m.Rows), printable(m.Origin))
	fmt.Fprintln(env.Stdout, "that finds damage, not a forger: a manifest is not signed. custody export -format bundle makes evidence")
	return nil
}

// printJSON prints v as one line.
func printJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }
