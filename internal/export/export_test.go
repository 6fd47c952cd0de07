package export

// SetLimits makes the set durable after fewer rows.
func (s *Set) SetLimits(rows int64) { s.markRows, s.partRows = rows, rows }

// Columns returns the names of all columns.
func Columns() []string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].name
	}
	return names
}

// AppendCell is appendCell.
func AppendCell(dst, cell []byte) []byte { return appendCell(dst, cell) }

// Seal returns the comment of a bundle whose bytes before it are b.
func Seal(b []byte) string {
	s := newSealWriter(discard{})
	s.hash.Write(b)
	return sealOf(s.hash)
}

// NoSeal is a comment as long as a seal.
var NoSeal = noSeal

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// Names of entries, and their form.
const (
	EventsEntry   = eventsEntry
	ManifestEntry = manifestEntry
)

// EntryHeader is entryHeader.
var EntryHeader = entryHeader
