package journal

import "github.com/custody-log/custody/internal/disk"

// OpenFilesLimit is OpenFiles with a file length at which tests can see many
// files.
func OpenFilesLimit(fs disk.FS, fileBytes int64, options ...Option) (*Files, error) {
	return openFiles(&Files{fs: fs, fileBytes: fileBytes}, options)
}
