// Package geo tells the country of an address, from a database in the format of
// MaxMind (https://maxmind.github.io/MaxMind-DB/), which several publishers use.
//
// What it tells is derived: it is in no record and proves nothing, and another
// edition of the database may tell something else.
package geo

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// MaxBytes bounds a database. It is in memory as a whole.
const MaxBytes = 512 << 20

// A Database tells countries. It may be used concurrently.
type Database struct{ reader *maxminddb.Reader }

// Open opens a database. It keeps data.
func Open(data []byte) (*Database, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("geo: a database of %d bytes, at most %d", len(data), MaxBytes)
	}
	r, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("geo: %w", err)
	}
	d := &Database{r}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

// errNoCountries means that a database is about something else.
var errNoCountries = errors.New("geo: the database does not tell countries: its entries have no country.iso_code")

// check looks whether the first entry tells a country.
func (d *Database) check() error {
	for result := range d.reader.Networks() {
		if err := result.Err(); err != nil {
			return fmt.Errorf("geo: %w", err)
		}
		for _, path := range paths {
			var code string
			if err := result.DecodePath(&code, path...); err == nil && code != "" {
				return nil
			}
		}
	}
	return errNoCountries
}

// paths are where databases have the code of a country.
var paths = [][]any{{"country", "iso_code"}, {"country_code"}, {"registered_country", "iso_code"}}

// Country returns the two capital letters (ISO 3166-1) of the country of an
// address, IPv4 mapped to IPv6, or "".
func (d *Database) Country(address [16]byte) string {
	result := d.reader.Lookup(netip.AddrFrom16(address).Unmap())
	for _, path := range paths {
		var code string
		if err := result.DecodePath(&code, path...); err == nil && len(code) == 2 {
			return code
		}
	}
	return ""
}
