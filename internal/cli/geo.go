package cli

import (
	"fmt"
	"os"

	"github.com/custody-log/custody/internal/geo"
)

// readGeo returns what tells the countries of addresses from the database in a
// file.
func readGeo(name string) (country func(address [16]byte) string, err error) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > geo.MaxBytes {
		err = fmt.Errorf("%s: %d bytes, at most %d", name, info.Size(), geo.MaxBytes)
	}
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	d, err := geo.Open(data)
	if err != nil {
		return nil, withHint(fmt.Errorf("%s: %w", name, err), "what is wanted is a database of countries in the .mmdb format")
	}
	return d.Country, nil
}
