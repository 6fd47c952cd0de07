package geo_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/custody-log/custody/internal/geo"
)

// database returns a database of documentation networks.
func database(t *testing.T, entry func(code string) mmdbtype.DataType) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-Country", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, code := range map[string]string{"198.51.100.0/24": "NL", "203.0.113.0/25": "CZ", "2001:db8:1::/48": "DE"} {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(n, entry(code)); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func country(code string) mmdbtype.DataType {
	return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
}

func flat(code string) mmdbtype.DataType { return mmdbtype.Map{"country_code": mmdbtype.String(code)} }

func TestCountry(t *testing.T) {
	for name, entry := range map[string]func(string) mmdbtype.DataType{"nested": country, "flat": flat} {
		d, err := geo.Open(database(t, entry))
		if err != nil {
			t.Fatal(name, err)
		}
		for address, want := range map[string]string{
			"198.51.100.7": "NL", "203.0.113.1": "CZ", "203.0.113.200": "", "2001:db8:1::1": "DE", "2001:db8:2::1": "", "::": "",
		} {
			if got := d.Country(netip.MustParseAddr(address).As16()); got != want {
				t.Errorf("%s: %s is in %q, want %q", name, address, got, want)
			}
		}
	}
}

// A database of something else would make every country unknown, in silence.
func TestNoCountries(t *testing.T) {
	other := func(string) mmdbtype.DataType { return mmdbtype.Map{"asn": mmdbtype.Uint32(64500)} }
	if _, err := geo.Open(database(t, other)); err == nil {
		t.Error("a database without countries was opened")
	}
	for _, data := range [][]byte{nil, []byte("not a database"), database(t, country)[100:]} {
		if _, err := geo.Open(data); err == nil {
			t.Errorf("%d bytes of no database were opened", len(data))
		}
	}
}
