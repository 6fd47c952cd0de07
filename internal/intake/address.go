package intake

import (
	"fmt"
	"net/netip"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// An Anonymisation says how many leading bits of an address are recorded; the
// others become 0 before anything is committed to. 0 keeps all of them.
type Anonymisation struct {
	V4 int // 1 to 32, for example 24
	V6 int // 1 to 128, for example 48
}

// check returns an error if a makes no sense.
func (a Anonymisation) check() error {
	if a.V4 < 0 || a.V4 > 32 || a.V6 < 0 || a.V6 > 128 {
		return fmt.Errorf("addresses cut to %d and %d bits; hint: IPv4 has 1 to 32, IPv6 1 to 128, and 0 keeps all", a.V4, a.V6)
	}
	return nil
}

// on reports whether a cuts anything.
func (a Anonymisation) on() bool { return a != Anonymisation{} }

// sixToFour holds the addresses that carry an IPv4 address behind their first 16
// bits (RFC 3056): what is to be kept of that one bounds what is kept of them.
var sixToFour = netip.MustParsePrefix("2002::/16")

// cut returns what is recorded of addr.
func (a Anonymisation) cut(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	keep := a.V6
	switch {
	case addr.Is4():
		keep = a.V4
	case sixToFour.Contains(addr) && a.V4 > 0 && (keep == 0 || keep > 16+a.V4):
		keep = 16 + a.V4
	}
	if keep == 0 {
		return addr
	}
	prefix, err := addr.Prefix(keep)
	if err != nil {
		panic("intake: " + err.Error()) // unreachable: check has seen a
	}
	return prefix.Addr()
}

// cutValue is cut for a field of type [event.IP]. It returns bytes of its own.
func (a Anonymisation) cutValue(value []byte) []byte {
	addr := a.cut(netip.AddrFrom16([16]byte(value))).As16()
	return addr[:]
}

// cutDeclared cuts the address that field holds as text, if declared says that
// it holds one. Text that is no address may still say where somebody was, so it
// is refused.
func (a Anonymisation) cutDeclared(field *event.Field, declared *catalogue.Field) *event.InvalidError {
	if !a.on() || declared.Type != catalogue.IP || field.Type != event.String || len(field.Value) == 0 {
		return nil
	}
	addr, err := netip.ParseAddr(string(field.Value))
	if err != nil || addr.Zone() != "" {
		return &event.InvalidError{Index: -1, Path: field.Name, Reason: "must be an IP address without port or zone: this log cuts addresses short"}
	}
	field.Value = []byte(a.cut(addr).String())
	return nil
}
