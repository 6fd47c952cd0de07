package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/custody-log/custody/internal/proxy"
)

// TestCheck checks that a registry which sends clients round the proxy is
// noticed at the start, and said in the log itself.
func TestCheck(t *testing.T) {
	tests := []struct {
		name    string
		public  string
		answer  func(w http.ResponseWriter, r *http.Request)
		verdict string
		foreign []string
	}{
		{
			name: "addresses made from the request", public: "https://registry.test",
			answer: func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprintf(w, `{"versions":{"1.0.0":{"dist":{"tarball":"%s://%s/demo.tgz"}}}}`, r.Header.Get("X-Forwarded-Proto"), r.Host)
			},
			verdict: "clean",
		},
		{
			name: "a usual port, a relative address, and words that only look alike", public: "https://registry.test",
			answer: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"tarball":"https://registry.test:443/a","loginUrl":"/-/login","readme":"\"tarball\":\"https://escape.test/\"","homepage":"https://escape.test","x":["tarball","https://escape.test"]}`)
			},
			verdict: "clean",
		},
		{
			name: "an address of its own", public: "https://registry.test",
			answer: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"dist" : { "tarball" :  "http:\/\/escape.test:4873\/demo.tgz" }, "loginUrl":"https://second.test/x"}`)
			},
			verdict: "escaping", foreign: []string{"escape.test:4873", "second.test"},
		},
		{
			name: "a redirect", public: "https://registry.test",
			answer: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://escape.test/demo", http.StatusFound)
			},
			verdict: "escaping", foreign: []string{"escape.test"},
		},
		{name: "no answer", public: "https://registry.test", answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, verdict: "unreachable"},
		{name: "nothing to compare with", answer: func(http.ResponseWriter, *http.Request) {}, verdict: "unchecked"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := start(t, http.HandlerFunc(test.answer), func(c *proxy.Config) {
				c.Documents = []proxy.Document{{Path: "/demo"}}
				c.AddressMembers = []string{"tarball", "loginUrl"}
				if test.public != "" {
					c.Public, _ = url.Parse(test.public)
				}
			})
			started := b.log.all()[0]
			var foreign []string
			data, err := json.Marshal(started.Metadata["foreign_hosts"])
			if err == nil {
				err = json.Unmarshal(data, &foreign)
			}
			if err != nil {
				t.Fatal(err)
			}
			if started.Metadata["check"] != test.verdict {
				t.Errorf("the start says %v, want %s", started.Metadata["check"], test.verdict)
			}
			if diff := cmp.Diff(test.foreign, foreign); diff != "" {
				t.Errorf("hosts in the start event (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.foreign, b.proxy.Health().Foreign); diff != "" {
				t.Errorf("hosts in the health (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTrafficIsWatched checks that escaping addresses are noticed in answers
// that pass, compressed or not, without a configured address.
func TestTrafficIsWatched(t *testing.T) {
	text := strings.Repeat(" ", 40_000) + `{"tarball":"http://escape.test/demo.tgz"}`
	for _, encoding := range []string{"", "gzip"} {
		b := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.npm.install-v1+json; charset=utf-8")
			body := text
			if encoding != "" {
				w.Header().Set("Content-Encoding", encoding)
				body = string(zipped(t, text))
			}
			_, _ = io.WriteString(w, body)
		}), func(c *proxy.Config) { c.AddressMembers = []string{"tarball"} })
		b.do("GET", "/demo", "", "")
		if got := b.proxy.Health().Foreign; !slices.Equal(got, []string{"escape.test"}) {
			t.Errorf("encoding %q: foreign hosts = %q, want escape.test", encoding, got)
		}
		if n := strings.Count(b.words.String(), "escape.test"); n != 1 {
			t.Errorf("encoding %q: logged %d times, want once", encoding, n)
		}
	}
}
