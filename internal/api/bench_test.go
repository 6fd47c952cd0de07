package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/custody-log/custody/internal/api"
	"github.com/custody-log/custody/internal/auth"
	"github.com/custody-log/custody/internal/disk"
)

// typical returns an event of some 600 bytes.
func typical(id int64) string {
	return fmt.Sprintf(`{"id":"01960f3e-7c11-7d3a-9b1e-%012d","tag":"project:release:add","time":"2026-03-31T00:21:00.123456Z","outcome":"success",`+
		`"actor":{"type":"user","id":"u-%d","name":"user%d"},"credential":{"kind":"token","id":"t-%d","mfa":"none"},`+
		`"subjects":[{"type":"project","id":"pkg:npm/demo-%d","name":"demo-%d"},{"type":"version","id":"pkg:npm/demo-%d@1.2.3","version":"1.2.3"}],`+
		`"context":{"ip":"203.0.113.%d","user_agent":"npm/11.0.0 node/v24.1.0 linux x64","request_id":"r-%d","origin":"cli"},"metadata":{"version":"1.2.3"}}`,
		id, id%1000, id%1000, id%1000, id%5000, id%5000, id%5000, id%250, id)
}

// A client sends requests over one connection and wants nothing of the answer
// but that it is 201. It costs as little as a client can.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

// answer reads one answer whose length is given, without parsing it all.
func (c *client) answer() error {
	length := -1
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 201")) {
			return fmt.Errorf("%s", line)
		}
		if rest, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length = 0
			for _, d := range bytes.TrimSpace(rest) {
				length = 10*length + int(d-'0')
			}
		}
		if len(line) <= 2 {
			break
		}
	}
	_, err := c.in.Discard(length)
	return err
}

// BenchmarkSubmit measures submissions over the loopback, with the client on
// the same machine, on a real disk: one each from some connections, and in
// batches.
func BenchmarkSubmit(b *testing.B) {
	for _, c := range []struct{ connections, batch int }{{1, 1}, {64, 1}, {1024, 1}, {4, 1000}, {16, 100}} {
		b.Run(fmt.Sprintf("connections=%d/batch=%d", c.connections, c.batch), func(b *testing.B) {
			benchmarkSubmit(b, c.connections, c.batch)
		})
	}
}

func benchmarkSubmit(b *testing.B, connections, batch int) {
	fs, err := disk.Dir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	x := open(b, fs, func(a *api.API) { a.Log = slog.New(slog.DiscardHandler) })
	server := httptest.NewServer(x.handler)
	defer server.Close()
	media := "application/json"
	if batch > 1 {
		media = "application/x-ndjson\r\nPrefer: return=minimal"
	}
	head := fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n", x.keys[auth.Submit], media)
	var sent atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	requests := int64(b.N)
	b.ResetTimer()
	began := time.Now()
	for range connections {
		all.Go(func() {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			c := &client{conn, bufio.NewReader(conn)}
			var mine []time.Duration
			var out []byte
			for n := sent.Add(1); n <= requests; n = sent.Add(1) {
				var body strings.Builder
				for i := range batch {
					body.WriteString(typical(n*int64(batch) + int64(i)))
					body.WriteByte('\n')
				}
				out = fmt.Appendf(out[:0], "%sContent-Length: %d\r\n\r\n%s", head, body.Len(), body.String())
				at := time.Now()
				if _, err := conn.Write(out); err != nil {
					b.Error(err)
					return
				}
				if err := c.answer(); err != nil {
					b.Error(err)
					return
				}
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	all.Wait()
	elapsed := time.Since(began)
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(requests)*float64(batch)/elapsed.Seconds(), "events/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
