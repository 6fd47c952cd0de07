package dossier

import "net/netip"

// Lengths of prefixes of addresses that are taken to be one network.
const (
	networkBits4 = 24
	networkBits6 = 48
)

// placeName returns what a place is told from others by: the country, else the
// network; "" if neither is known.
func placeName(p Place) string {
	if p.Country != "" {
		return p.Country
	}
	address, err := netip.ParseAddr(p.Address.Text)
	if err != nil {
		return ""
	}
	bits := networkBits6
	if address.Is4() {
		bits = networkBits4
	}
	network, err := address.Prefix(bits)
	if err != nil {
		return ""
	}
	return network.String()
}
