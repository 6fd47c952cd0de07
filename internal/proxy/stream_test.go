package proxy_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/custody-log/custody/event"
)

// TestBodiesPassUnchanged sends what is easily bent on the way.
func TestBodiesPassUnchanged(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Encoding", r.Header.Get("X-Want-Encoding"))
		w.Header().Set("X-Saw", fmt.Sprintf("%s %s %s te=%q len=%d host=%s", r.Method, r.RequestURI, r.Header.Get("Content-Encoding"), r.TransferEncoding, r.ContentLength, r.Host))
		_, _ = w.Write(body)
	})
	b := start(t, echo)
	packed := zipped(t, strings.Repeat("demo ", 1000))
	tests := []struct {
		name, method, path string
		header             http.Header
		body               []byte
		chunked            bool
		saw                string
	}{
		{name: "a DELETE with a body", method: "DELETE", path: "/pkg/demo", body: []byte(`"1.0.0"`), saw: `DELETE /pkg/demo  te=[] len=7 host=registry.test`},
		{name: "a chunked PUT", method: "PUT", path: "/pkg/demo?a=1;b=%zz", body: []byte("x"), chunked: true, saw: `PUT /pkg/demo?a=1;b=%zz  te=["chunked"] len=-1 host=registry.test`},
		{
			name: "gzip both ways", method: "PUT", path: "/pkg/demo", body: packed,
			header: http.Header{"Content-Encoding": {"gzip"}, "X-Want-Encoding": {"gzip"}, "Accept-Encoding": {"gzip"}},
			saw:    fmt.Sprintf("PUT /pkg/demo gzip te=[] len=%d host=registry.test", len(packed)),
		},
		{
			name: "gzip that nobody asked for", method: "GET", path: "/pkg", body: packed,
			header: http.Header{"X-Want-Encoding": {"gzip"}},
			saw:    fmt.Sprintf("GET /pkg  te=[] len=%d host=registry.test", len(packed)),
		},
		{
			name: "gzip that is cut off", method: "PUT", path: "/pkg/demo", body: packed[:20],
			header: http.Header{"Content-Encoding": {"gzip"}, "X-Want-Encoding": {"gzip"}, "Accept-Encoding": {"gzip"}},
			saw:    "PUT /pkg/demo gzip te=[] len=20 host=registry.test",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var body io.Reader = bytes.NewReader(test.body)
			if test.chunked {
				body = io.MultiReader(body) // hides the length
			}
			r, err := http.NewRequestWithContext(t.Context(), test.method, b.door.URL+test.path, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "registry.test"
			maps.Copy(r.Header, test.header)
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			if err != nil || !bytes.Equal(got, test.body) {
				t.Errorf("body came back as %q, %v; want %q", got, err, test.body)
			}
			if saw := res.Header.Get("X-Saw"); saw != test.saw {
				t.Errorf("the registry saw %s, want %s", saw, test.saw)
			}
		})
	}
	if got := b.log.acts()[2].Metadata["asked"]; got != int64(5000) {
		t.Errorf("the protocol read %v bytes of a compressed body, want the 5000 it stands for", got)
	}
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestAnswersCanBeRead checks that no client can have the answer that names its
// new token in an encoding that the log cannot read.
func TestAnswersCanBeRead(t *testing.T) {
	var asked []string
	b := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Accept-Encoding"))
	}))
	for _, line := range []string{"PUT /login/alice br", "PUT /login/alice deflate, gzip;q=0.5", "GET /doc br"} {
		parts := strings.SplitN(line, " ", 3)
		r, err := http.NewRequestWithContext(t.Context(), parts[0], b.door.URL+parts[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", parts[2])
		b.send(r)
	}
	want := []string{"/login/alice gzip", "/login/alice deflate, gzip;q=0.5", "/doc br"}
	if !slices.Equal(asked, want) {
		t.Errorf("the registry was asked for %q, want %q", asked, want)
	}
}

// TestBefore checks that the protocol reads the document as it was before the
// change, with the credential of the client.
func TestBefore(t *testing.T) {
	var order []string
	b := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		order = append(order, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+" "+r.Host)
		_, _ = io.WriteString(w, "12345")
	}))
	host := b.door.Listener.Addr().String()
	b.do("PUT", "/pkg/demo", "t0ken", "x")
	want := []string{"GET /-/whoami Bearer t0ken " + host, "GET /pkg/demo Bearer t0ken " + host, "PUT /pkg/demo Bearer t0ken " + host}
	if !slices.Equal(order, want) {
		t.Errorf("the registry saw %q, want %q", order, want)
	}
	if got := b.log.acts()[0].Metadata["before"]; got != int64(5) {
		t.Errorf("the protocol read %v bytes of the document before, want 5", got)
	}
}

// TestDownloadDoesNotWait checks that an answer passes as it comes, and is not
// held back until it is complete.
func TestDownloadDoesNotWait(t *testing.T) {
	proceed := make(chan struct{})
	b := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-proceed
		_, _ = io.WriteString(w, " last")
	}))
	res, err := http.Get(b.door.URL + "/file/demo")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 5)
	if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != "first" {
		t.Fatalf("read %q, %v before the answer was complete, want its first part", buf, err)
	}
	close(proceed)
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(rest) != " last" {
		t.Errorf("then read %q, %v", rest, err)
	}
	if got := b.log.wait(t, 1)[0]; got.Outcome != event.Success {
		t.Errorf("outcome = %s, want success", got.Outcome)
	}
}

// TestExpectContinue checks that a client that asks first whether to send its
// body is refused by the registry before it has sent it.
func TestExpectContinue(t *testing.T) {
	b := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	conn, err := net.Dial("tcp", b.door.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PUT /pkg/demo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "401") {
		t.Errorf("first line = %q, %v, want the 401 and no 100", line, err)
	}
	if got := b.log.wait(t, 1)[0]; got.Outcome != event.Denied {
		t.Errorf("outcome = %s, want denied", got.Outcome)
	}
}

// TestOldClient checks that HTTP/1.0 passes.
func TestOldClient(t *testing.T) {
	b := start(t, answering(200, "data"))
	status, text := rawAnswer(t, b, "GET /file/demo HTTP/1.0\r\n\r\n")
	if status != 200 || !strings.HasSuffix(text, "\r\n\r\ndata") {
		t.Errorf("answer = %q, want the data, not in chunks", text)
	}
}

// TestManyAtOnce passes bodies of different lengths side by side and checks
// that none is mixed up with another.
func TestManyAtOnce(t *testing.T) {
	b := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		_, _ = io.Copy(sum, r.Body)
		_, _ = fmt.Fprintf(w, "%x", sum.Sum(nil))
	}))
	done := make(chan error)
	for i := range 32 {
		go func() {
			body := bytes.Repeat([]byte{byte(i)}, i*7919)
			r, err := http.NewRequest("PUT", fmt.Sprintf("%s/pkg/demo%d", b.door.URL, i), bytes.NewReader(body))
			if err != nil {
				done <- err
				return
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				done <- err
				return
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			if want := fmt.Sprintf("%x", sha256.Sum256(body)); err == nil && string(got) != want {
				err = fmt.Errorf("body %d arrived as %s, want %s", i, got, want)
			}
			done <- err
		}()
	}
	for range 32 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	ids := make(map[string]int)
	for _, e := range b.log.all() {
		ids[e.Context.RequestID]++
	}
	if len(ids) != 33 { // and the start, which has none
		t.Errorf("%d request IDs for 32 requests", len(ids)-1)
	}
}
