package custody

import "github.com/custody-log/custody/internal/disk"

// OpenBufferOn is [OpenBuffer] on a disk that a test can crash.
func OpenBufferOn(dir disk.FS, client *Client, opts ...BufferOption) (*Buffer, error) {
	return openBuffer(dir, client, opts)
}

// Bounds that tests reach for.
const (
	SendEvents = sendEvents
	TidyAfter  = tidyAfter
)
