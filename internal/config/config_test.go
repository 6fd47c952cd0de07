package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/internal/config"
)

const good = `
sources:
  - name: registry
    silent_after: 10m
witness_policy: policy.txt
proxies:
  - name: npm-proxy
    protocol: npm
    listen: 127.0.0.1:4873
    upstream: http://127.0.0.1:4874
    trusted_forwarders: [10.0.0.0/8, "2001:db8::/32"]
    when_log_is_away: {auth: spool}
    ask_who: false
`

func TestParse(t *testing.T) {
	c, err := config.Parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Duration(c.Sources[0].SilentAfter); d != 10*time.Minute {
		t.Errorf("silent_after = %v, want 10m", d)
	}
	if n := len(c.Proxies[0].TrustedForwarders); n != 2 {
		t.Errorf("%d trusted forwarders, want 2", n)
	}
	if _, err := config.Parse(nil); err != nil {
		t.Errorf("Parse of an empty file: %v", err)
	}
}

// TestParseRefuses checks that a mistake is named with its place.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"unknown key", "ask_who", "ask_whom", "line 13: field ask_whom not found"},
		{"key twice", "    protocol: npm\n", "    protocol: npm\n    protocol: npm\n", "already"},
		{"duration", "10m", "soon", `line 4: "soon" is not a duration`},
		{"network", "10.0.0.0/8", "10.0.0.0", "10.0.0.0"},
		{"protocol", "protocol: npm", "protocol: cvs", `proxies[0].protocol: "cvs" is not known`},
		{"upstream", "http://127.0.0.1:4874", "127.0.0.1:4874", "proxies[0].upstream"},
		{"class", "{auth: spool}", "{admin: spool}", `there is no class "admin"`},
		{"policy", "{auth: spool}", "{auth: ignore}", "must be refuse or spool"},
		{"no name", "  - name: registry\n", "  - name: \"\"\n", "sources[0].name"},
		{"two documents", "sources:", "---\na: 1\n---\nsources:", "field a not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(strings.Replace(good, tt.old, tt.new, 1)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse = %v, want %q", err, tt.want)
			}
		})
	}
}
