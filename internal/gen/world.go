package gen

import (
	"encoding/hex"
	"net/netip"
	"strconv"
)

// Names are functions of numbers, so nothing needs to be remembered. Each kind
// of name has a salt, so that user 7 and project 7 have nothing in common.
const (
	saltProject = iota << 32
	saltUser
	saltOrg
	saltToken
	saltAddress
	saltAgent
	saltRequest
)

var syllables = []string{
	"py", "data", "flask", "api", "torch", "net", "lib", "core", "json", "async", "http", "bridge", "ml", "kit", "tool", "cloud",
	"test", "utils", "graph", "stream", "auth", "db", "web", "log", "crypt", "num", "frame", "image", "text", "serve", "client", "proto",
}

var tools = []string{
	"npm/10.8.2 node/v22.5.1", "npm/9.2.0 node/v18.20.4", "pnpm/9.12.1 node/v20.18.0", "yarn/1.22.22 node/v20.11.1",
	"twine/6.0.1 CPython/3.12.7", "uv/0.5.4 CPython/3.13.0", "pip/24.3.1 CPython/3.11.9", "Mozilla/5.0 (X11; rv:133.0) Firefox/133.0",
}

// mix turns neighbouring numbers into ones that look random (SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return x
}

func syllable(m uint64) string { return syllables[m%uint64(len(syllables))] }

// ProjectName returns the name of the n-th project.
func ProjectName(n int) string {
	m := mix(uint64(n) + saltProject)
	return syllable(m) + "-" + syllable(m>>5) + "-" + strconv.FormatInt(int64(n), 36)
}

// UserName returns the name of the n-th user.
func UserName(n int) string {
	m := mix(uint64(n) + saltUser)
	return syllable(m) + "_" + syllable(m>>5) + strconv.Itoa(n)
}

// UserID returns the registry's ID of the n-th user.
func UserID(n int) string { return "u" + strconv.Itoa(100_000+n) }

// OrgName returns the name of the n-th organization.
func OrgName(n int) string { return syllable(mix(uint64(n)+saltOrg)) + "-org-" + strconv.Itoa(n) }

// TokenID returns the public ID of the n-th token.
func TokenID(n int) string { return "tok_" + hexOf(mix(uint64(n)+saltToken)) }

func hexOf(m uint64) string {
	return hex.EncodeToString([]byte{byte(m >> 56), byte(m >> 48), byte(m >> 40), byte(m >> 32), byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)})
}

// Address returns the n-th address, one of five of them an IPv6 one. All are
// of the blocks set aside for benchmarks and documentation.
func Address(n int) netip.Addr {
	m := mix(uint64(n) + saltAddress)
	if m>>60%5 == 0 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(m >> 8), byte(m), 8: 0, 14: byte(n >> 8), 15: byte(n)})
	}
	// 198.18.0.0/15 holds 131,072 addresses: several numbers share one.
	return netip.AddrFrom4([4]byte{198, 18 + byte(m>>16)&1, byte(m >> 8), byte(m)})
}

// agent returns the n-th user agent.
func agent(n int) string {
	m := mix(uint64(n) + saltAgent)
	return tools[m%uint64(len(tools))] + " b" + strconv.Itoa(n)
}
