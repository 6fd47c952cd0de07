package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkProxy compares this proxy with a plain reverse proxy, each in a
// process of its own, client and registry beside it on the same machine. It
// reports requests per second and the proxy's own CPU time per request.
func BenchmarkProxy(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 256 << 10} {
		body := strings.Repeat("x", size)
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = io.WriteString(w, body)
		}))
		b.Cleanup(upstream.Close)
		for _, bench := range []struct{ name, mode, method, path string }{
			{"plain", "plain", "GET", "/demo"},
			{"plain tuned", "tuned", "GET", "/demo"},
			{"custody not recorded", "custody", "GET", "/demo"},
			{"custody download", "custody", "GET", "/demo/-/demo-1.0.0.tgz"},
			{"custody change", "custody", "POST", "/-/package/demo/access"},
		} {
			b.Run(fmt.Sprintf("%d KiB/%s", size>>10, bench.name), func(b *testing.B) {
				addr, pid := alone(b, upstream.URL, bench.mode)
				transport := &http.Transport{MaxIdleConnsPerHost: 64}
				defer transport.CloseIdleConnections()
				before := cpuTime(b, pid)
				b.SetParallelism(16) // 32 at once on two cores
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						r, err := http.NewRequest(bench.method, "http://"+addr+bench.path, nil)
						if err != nil {
							b.Error(err)
							return
						}
						r.Header.Set("Authorization", "Bearer tok")
						res, err := transport.RoundTrip(r)
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
					}
				})
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
				b.ReportMetric(float64((cpuTime(b, pid)-before).Microseconds())/float64(b.N), "proxy-µs/req")
			})
		}
	}
}

// cpuTime returns how long a process has used a processor.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip("this system does not tell the time a process used")
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on Linux
}
