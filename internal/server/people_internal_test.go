package server

import (
	"testing"

	"github.com/custody-log/custody/internal/config"
)

// The address that people use may be written with a slash at its end: links and
// feeds have one behind it all the same.
func TestPublicAddress(t *testing.T) {
	for given, want := range map[string]string{
		"https://audit.example.com": "https://audit.example.com", "https://audit.example.com/": "https://audit.example.com", "": "",
	} {
		file := new(config.Config)
		file.Readers.Console.PublicURL = given
		s := &Server{cfg: Config{File: file}}
		if got := s.publicAddress(); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}
