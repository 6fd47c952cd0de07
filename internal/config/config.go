// Package config reads the configuration file. It holds the lists: sources,
// witnesses, proxies, event types. Where things are is said by flags.
//
// The file is YAML, read strictly: an unknown key, a key given twice or a value
// of the wrong kind is an error with its line.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/custody-log/custody/internal/retain"
)

// MaxBytes bounds a configuration file.
const MaxBytes = 1 << 20

// A Config is a configuration file. The comments are the documentation of its
// keys; the zero value is a log on its own, with no proxy and no witness.
type Config struct {
	// Sources that must not fall silent.
	Sources []Source `yaml:"sources"`

	// Catalogue lists directories with *.yaml files of further event types, see
	// docs/catalogue.md. Relative paths start at the configuration file.
	Catalogue []string `yaml:"catalogue"`

	// WitnessPolicy is a C2SP tlog-policy file: who cosigns checkpoints and how
	// many are enough. Without it checkpoints are signed by the log alone.
	WitnessPolicy string `yaml:"witness_policy"`

	// GeoDatabase is an .mmdb file that tells the countries of addresses, for
	// country: in queries. Without it no country is known.
	GeoDatabase string `yaml:"geo_database"`

	// Proxies stand between clients and registries and record what they do.
	Proxies []Proxy `yaml:"proxies"`

	// How long events are kept: the keys retention and evidence_hold.
	retain.Config `yaml:",inline"`

	// Anonymise says how much of addresses is recorded.
	Anonymise Anonymise `yaml:"anonymise"`

	// Who may look, and how people sign in: the keys console, oidc, viewer_keys and
	// reveal_delay.
	Readers Readers `yaml:",inline"`
}

// An Anonymise says how many leading bits of an address are recorded; the others
// become 0 before anything is committed to. 0, or nothing, keeps all of them.
type Anonymise struct {
	IPv4 int `yaml:"ipv4"` // for example 24
	IPv6 int `yaml:"ipv6"` // for example 48
}

// check refuses what no address has.
func (a Anonymise) check() error {
	if a.IPv4 < 0 || a.IPv4 > 32 {
		return fmt.Errorf("anonymise.ipv4: %d bits, want 1 to 32, or 0 for all", a.IPv4)
	}
	if a.IPv6 < 0 || a.IPv6 > 128 {
		return fmt.Errorf("anonymise.ipv6: %d bits, want 1 to 128, or 0 for all", a.IPv6)
	}
	return nil
}

// A Source is a program that submits events.
type Source struct {
	// Name is that of the source in its API key.
	Name string `yaml:"name"`

	// SilentAfter is how long it may say nothing, for example 10m. Beyond that
	// audit:source:silent is recorded.
	SilentAfter Duration `yaml:"silent_after"`
}

// A Proxy is a door to one registry.
type Proxy struct {
	// Name is the source of the proxy's events, for example npm-proxy.
	Name string `yaml:"name"`

	// Protocol is what the registry speaks: npm.
	Protocol string `yaml:"protocol"`

	// Listen is the address the proxy serves on, for example 127.0.0.1:4873.
	Listen string `yaml:"listen"`

	// Upstream is the registry's own address, for example http://127.0.0.1:4874.
	Upstream string `yaml:"upstream"`

	// Prefix is the path below which the registry speaks the protocol, for
	// example /repository/npm. Empty is all of it.
	Prefix string `yaml:"prefix"`

	// Public is the address that clients use, when it is not Listen.
	Public string `yaml:"public"`

	// TrustedForwarders are networks whose X-Forwarded-For is believed, for
	// example 10.0.0.0/8.
	TrustedForwarders []netip.Prefix `yaml:"trusted_forwarders"`

	// WhenLogIsAway says for each class (read, auth, write) what happens to
	// requests that cannot be recorded: refuse or spool. Reads are spooled, all
	// else is refused, unless said here.
	WhenLogIsAway map[string]string `yaml:"when_log_is_away"`

	// AskWho lets the proxy ask the registry, with the client's own credential,
	// whose it is, before a write by somebody it does not know. On unless false.
	AskWho *bool `yaml:"ask_who"`

	// Probe is the name of a package that is there. Its document is read when
	// the proxy starts, to see whether the registry sends clients elsewhere.
	Probe string `yaml:"probe"`
}

// A Duration is written as in Go: 90s, 10m, 24h.
type Duration time.Duration

// UnmarshalYAML implements [yaml.Unmarshaler].
func (d *Duration) UnmarshalYAML(node *yaml.Node) error {
	v, err := time.ParseDuration(node.Value)
	if err != nil || v < 0 {
		return fmt.Errorf("line %d: %q is not a duration such as 10m", node.Line, node.Value)
	}
	*d = Duration(v)
	return nil
}

// Parse reads a configuration.
func Parse(data []byte) (*Config, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("config: %d bytes, at most %d", len(data), MaxBytes)
	}
	c := new(Config)
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("config: %s", plain(err))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("config: more than one YAML document")
	}
	return c, c.check()
}

// plain makes one line of an error of the YAML package.
func plain(err error) string {
	lines := strings.Split(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, " ")
}

// check reports the first value that makes no sense.
func (c *Config) check() error {
	if err := errors.Join(c.Check(), c.Anonymise.check(), c.Readers.Check()); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	seen := make(map[string]bool)
	for i, s := range c.Sources {
		if s.Name == "" || seen[s.Name] {
			return fmt.Errorf("config: sources[%d].name: %q is missing or there twice", i, s.Name)
		}
		seen[s.Name] = true
	}
	seen = make(map[string]bool)
	for i := range c.Proxies {
		p := &c.Proxies[i]
		if err := p.Check(); err != nil {
			return fmt.Errorf("config: proxies[%d].%w", i, err)
		}
		if seen[p.Name] {
			return fmt.Errorf("config: proxies[%d].name: %q is there twice", i, p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

// isSource reports whether name can be that of a source other than the log.
func isSource(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return name != "" && name != "custody" && name[0] != '.' && len(name) <= 100
}

// Check reports the first value that makes no sense, by its key.
func (p *Proxy) Check() error {
	switch {
	case !isSource(p.Name):
		return fmt.Errorf("name: %q is not the name of a source: lower-case letters, digits, -, _ and ., and not custody", p.Name)
	case p.Protocol != "npm":
		return fmt.Errorf("protocol: %q is not known; there is npm", p.Protocol)
	case p.Listen == "":
		return errors.New("listen: is missing")
	}
	for _, u := range []struct{ key, value string }{{"upstream", p.Upstream}, {"public", p.Public}} {
		if u.value == "" && u.key == "public" {
			continue
		}
		parsed, err := url.Parse(u.value)
		if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
			return fmt.Errorf("%s: %q is not an http or https address", u.key, u.value)
		}
	}
	for class, what := range p.WhenLogIsAway {
		if class != "read" && class != "auth" && class != "write" {
			return fmt.Errorf("when_log_is_away: there is no class %q; there are read, auth and write", class)
		}
		if what != "refuse" && what != "spool" {
			return fmt.Errorf("when_log_is_away.%s: %q must be refuse or spool", class, what)
		}
	}
	return nil
}
