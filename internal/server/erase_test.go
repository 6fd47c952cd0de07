package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/config"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/server"
	"github.com/custody-log/custody/proof"
)

// A service is a log on a directory, in this process.
type service struct {
	t     *testing.T
	hello server.Hello
	key   string // an administrator's
	stop  func()
}

// serve starts a log on dir. It stops when the test ends, at the latest.
func serve(t *testing.T, dir, key string) *service {
	t.Helper()
	data, err := disk.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	types, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan server.Hello, 1)
	srv, err := server.Open(t.Context(), server.Config{
		Data: data, Listen: listen, Origin: "custody.test/log", Version: "test", File: new(config.Config), Catalogue: types,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Ready: func(h server.Hello) { ready <- h },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	s := &service{t: t, key: key}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case s.hello = <-ready:
		t.Cleanup(s.stop)
	case err := <-ended:
		cancel()
		t.Fatalf("Run: %v", err)
	}
	if s.key == "" {
		s.key = s.hello.APIKey
	}
	return s
}

// do makes a request, which must be answered with want.
func (s *service) do(want int, method, path, body string) []byte {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.hello.Addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode != want {
		s.t.Fatalf("%s %s %.300s = %d %s, %v, want %d", method, path, body, w.StatusCode, answer, err, want)
	}
	return answer
}

func get[T any](s *service, method, path, body string, want int) (v T) {
	s.t.Helper()
	if err := json.Unmarshal(s.do(want, method, path, body), &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// An erasure as the API tells of it.
type erasure struct {
	ID, State, Pseudonym string
	Records              int
	Kept                 []struct {
		Hold    string
		Records int
	}
}

// reaches waits until an erasure is in a state.
func (s *service) reaches(id, state string) erasure {
	s.t.Helper()
	var e erasure
	s.await(func() bool { e = get[erasure](s, "GET", "/v1/erasures/"+id, "", 200); return e.State == state })
	return e
}

// mark is in every personal value of the person. The address is one of its own.
const (
	mark         = "qzv7mkx3"
	markedIP     = "2001:db8:7a7a:5b5b:9c9c:3d3d:e1e1:f2f2"
	markedEvents = 12 // of how many events the person is in
)

// marked returns the JSON of event n about the person: as the actor, as whom
// somebody acted for, or as a subject only.
func marked(n int) string {
	person := fmt.Sprintf(`{"type":"user","id":"%s-id","name":"%s-name"}`, mark, mark)
	other := `{"type":"user","id":"u-7","name":"carol"}`
	parties := []string{
		`"actor":` + person, `"actor":` + other + `,"on_behalf_of":` + person,
		`"actor":` + other + `,"subjects":[` + strings.Replace(person, "{", `{"role":"target",`, 1) + `]`,
	}[n%3]
	from := fmt.Sprintf(`,"context":{"ip":%q,"user_agent":"%s-agent/1.0","request_id":"held-%d"},
 "credential":{"kind":"token","id":"%s-credential","name":"%s-token","session":"%s-session"},
 "oidc":{"issuer":"https://issuer.example","subject":"%s-oidc"}`, markedIP, mark, n, mark, mark, mark, mark)
	if n%3 == 2 { // from where somebody else acted is theirs
		from = `,"context":{"ip":"198.51.100.9","user_agent":"npm/11.0.0"}`
	}
	return fmt.Sprintf(`{"id":"marked-%d","tag":"user:profile:imaginary","time":%q,%s%s,
 "changes":[{"field":"email","old":"%s-old","new":["%s-new"]}],
 "metadata":{"note":"a note on %s-note","list":["%s-list"]},"reason":"%s-reason","reason_internal":"%s-internal"}`,
		n, time.Now().UTC().Format(time.RFC3339), parties, from, mark, mark, mark, mark, mark, mark)
}

// submit records marked events from first on among others.
func (s *service) submit(first, n int) {
	s.t.Helper()
	var list []string
	for i := first; i < first+n; i++ {
		for k := range 40 {
			list = append(list, fmt.Sprintf(`{"id":"other-%d-%d","tag":"project:release:add","time":%q,
 "actor":{"type":"user","id":"u-%d","name":"dave%d"},"subjects":[{"type":"project","id":"pkg:npm/demo-%d","name":"demo-%d"}],
 "context":{"ip":"203.0.113.%d","user_agent":"npm/11.0.0"},"metadata":{"version":"1.0.%d"},"reason":"as asked"}`,
				i, k, time.Now().UTC().Format(time.RFC3339), k, k, k%5, k%5, k, k))
		}
		list = append(list, marked(i))
	}
	s.do(201, "POST", "/v1/events", "["+strings.Join(list, ",")+"]")
}

// await waits until ok, for as long as the views may take.
func (s *service) await(ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			s.t.Fatal("what was waited for has not come")
		}
	}
}

// seqs returns the positions of the n marked events.
func (s *service) seqs(n int) (list []int) {
	s.t.Helper()
	s.await(func() bool { list = s.marked(); return len(list) >= n })
	return list
}

// marked returns the positions of the marked events that can be found.
func (s *service) marked() (list []int) {
	s.t.Helper()
	found := get[struct {
		Events []struct {
			Seq int
			ID  string
		}
	}](s, "GET", "/v1/events?limit=1000&order=oldest&q=tag:user:profile:imaginary", "", 200)
	for _, e := range found.Events {
		list = append(list, e.Seq)
	}
	return list
}

// traces returns where in a directory the marks are, byte by byte, and in all
// that is compressed there.
func traces(t *testing.T, dir string) []string {
	t.Helper()
	ip := event.Field{Type: event.IP}
	for part := range strings.SplitSeq(markedIP, ":") {
		var b [2]byte
		if _, err := fmt.Sscanf(fmt.Sprintf("%04s", part), "%02x%02x", &b[0], &b[1]); err != nil {
			t.Fatal(err)
		}
		ip.Value = append(ip.Value, b[:]...)
	}
	needles := [][]byte{[]byte(mark), fmt.Appendf(nil, "%x", mark), ip.Value, []byte(markedIP), []byte("2001:db8:7a7a")}
	var where []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, content := range append([][]byte{data, []byte(path)}, inflate(t, data)...) {
			for _, needle := range needles {
				if bytes.Contains(bytes.ToLower(content), needle) || bytes.Contains(content, needle) {
					where = append(where, fmt.Sprintf("%s, content %d: %q", strings.TrimPrefix(path, dir), i, needle))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return where
}

// inflate returns what every Zstandard frame in data holds, wherever it begins,
// with each of the others as its dictionary if it needs one.
func inflate(t *testing.T, data []byte) (contents [][]byte) {
	t.Helper()
	var plain, needy [][]byte
	for at := 0; ; at += 4 {
		i := bytes.Index(data[at:], []byte{0x28, 0xb5, 0x2f, 0xfd})
		if i < 0 {
			break
		}
		at += i
		if content, ok := frame(t, data[at:], nil); ok {
			plain = append(plain, content)
		} else {
			needy = append(needy, data[at:])
		}
	}
	contents = plain
	for _, f := range needy {
		for _, dict := range plain {
			if content, ok := frame(t, f, dict); ok {
				contents = append(contents, content)
			}
		}
	}
	return contents
}

// frame returns the content of the frame that data begins with.
func frame(t *testing.T, data, dict []byte) ([]byte, bool) {
	t.Helper()
	options := []zstd.DOption{zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64 << 20), zstd.IgnoreChecksum(true)}
	if dict != nil {
		options = append(options, zstd.WithDecoderDictRaw(1, dict))
	}
	d, err := zstd.NewReader(bytes.NewReader(data), options...)
	if err != nil {
		return nil, false
	}
	defer d.Close()
	content, err := io.ReadAll(d) // ends with an error behind the frame
	return content, len(content) > 0 || err == nil
}

// fieldsOf returns what a receipt shows, having checked it.
func fieldsOf(t *testing.T, receipt []byte, key string) map[string]string {
	t.Helper()
	policy, err := proof.KeyPolicy(key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := proof.ParseReceipt(receipt)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := r.Verify(policy)
	if err != nil {
		t.Fatalf("a receipt does not hold: %v", err)
	}
	fields := make(map[string]string)
	for i := range verified.Fields {
		fields[verified.Fields[i].Name] = verified.Fields[i].Text()
	}
	return fields
}

// erase asks for the person's erasure.
func (s *service) erase() erasure {
	s.t.Helper()
	return get[erasure](s, "POST", "/v1/erasures",
		fmt.Sprintf(`{"subject":{"type":"user","id":"%s-id","name":"%s-name"},"reason":"asked by %s"}`, mark, mark, mark), 202)
}

// Somebody who was erased is in no file any more, in no form, wherever their data
// stood, sealed or not. All that stays is as it was and can be proved, with new
// receipts and with those handed out before. What is under a hold stays until the
// hold ends, and is listed. If
// this fails the log tells people that their data are gone, and they are not.
func TestErasedIsGone(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir, "")
	s.submit(0, markedEvents/2)
	s.do(200, "POST", "/v1/log/seal", "")
	s.submit(markedEvents/2, markedEvents/2)
	seqs := s.seqs(markedEvents)
	if len(seqs) != markedEvents || len(traces(t, dir)) == 0 {
		t.Fatalf("marked events at %v, want %d, and traces of them in the files", seqs, markedEvents)
	}
	receipt := func(seq int) []byte { return s.do(200, "GET", fmt.Sprintf("/v1/events/%d/receipt?wait=5s", seq), "") }
	var before [][]byte
	for _, seq := range seqs {
		before = append(before, receipt(seq))
	}
	hold := get[struct{ ID string }](s, "POST", "/v1/holds", `{"query":"request:held-1","case":"C-1"}`, 201)
	estimate := get[struct{ Events, Held int }](s, "POST", "/v1/erasures",
		fmt.Sprintf(`{"subject":{"type":"user","id":"%s-id","name":"%s-name"},"dry_run":true}`, mark, mark), 200)
	if estimate.Events != markedEvents-1 || estimate.Held != 1 {
		t.Errorf("a dry run says %+v, want %d events and 1 held", estimate, markedEvents-1)
	}

	asked := s.erase()
	done := s.reaches(asked.ID, "held")
	if len(done.Kept) != 1 || done.Kept[0].Hold != hold.ID || done.Kept[0].Records != 1 {
		t.Errorf("held = %+v, want one record by %s", done.Kept, hold.ID)
	}
	if held := s.do(200, "GET", fmt.Sprintf("/v1/events/%d", seqs[1]), ""); !bytes.Contains(held, []byte(mark)) || bytes.Contains(held, []byte(`"erased"`)) {
		t.Errorf("the event under a hold is %s", held)
	}
	s.do(200, "POST", "/v1/holds/"+hold.ID+"/lift", `{"reason":"over"}`)
	s.reaches(asked.ID, "done")

	for i, seq := range seqs {
		was, is := fieldsOf(t, before[i], s.hello.LogKey), fieldsOf(t, receipt(seq), s.hello.LogKey)
		for name, value := range was {
			now, there := is[name]
			// What changed in an event of an unknown type may be personal, too.
			personal := strings.Contains(value, mark) || value == markedIP || strings.HasPrefix(name, "changes.")
			switch {
			case personal && there:
				t.Errorf("event %d still says %s: %q", seq, name, now)
			case !personal && there && now != value:
				t.Errorf("event %d says %s: %q, want %q", seq, name, now, value)
			case !personal && !there && i%3 == 2:
				t.Errorf("event %d lost %s, which is not the person's", seq, name)
			}
		}
		shown := s.do(200, "GET", fmt.Sprintf("/v1/events/%d", seq), "")
		if !bytes.Contains(shown, []byte(asked.Pseudonym)) {
			t.Errorf("event %d shows no pseudonym: %s", seq, shown)
		}
	}
	if list := s.marked(); !slices.Equal(list, seqs) {
		t.Errorf("marked events are now at %v, want %v", list, seqs)
	}
	s.stop()
	if where := traces(t, dir); len(where) > 0 {
		t.Errorf("after the erasure:\n%s", strings.Join(where, "\n"))
	}
	s = serve(t, dir, s.key)
	if all := s.do(200, "GET", "/v1/events?limit=1000", ""); bytes.Contains(all, []byte(mark)) {
		t.Error("after a restart the person is found")
	}
	s.stop()
}

// A backup from before an erasure, with the newer list of erasures put over its
// own, has nobody in it who was erased, as soon as the log answers. Other events
// stand where newer ones stood that are lost; they lose nothing. If this fails
// every restore undoes erasures, and nobody notices.
func TestRestoredStaysErased(t *testing.T) {
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	s := serve(t, dir, "")
	s.submit(0, 3)
	s.do(200, "POST", "/v1/log/seal", "")
	s.submit(3, 3)
	key := s.key
	s.stop()
	if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s = serve(t, dir, key)
	s.submit(6, 3)
	lost := s.seqs(9)[6:]
	s.reaches(s.erase().ID, "done")
	s.stop()
	if len(traces(t, backup)) == 0 {
		t.Fatal("the backup has no traces")
	}
	if err := os.RemoveAll(filepath.Join(backup, "retain", "erasures")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(backup, "retain", "erasures"), os.DirFS(filepath.Join(dir, "retain", "erasures"))); err != nil {
		t.Fatal(err)
	}
	others := func() int {
		return bytes.Count(s.do(200, "GET", "/v1/events?limit=1000&q=tag:user:profile:imaginary+user:somebody-id", ""), []byte("somebody-agent"))
	}
	const n = 150
	for i := range 2 {
		s = serve(t, backup, key)
		if all := s.do(200, "GET", "/v1/events?limit=1000", ""); bytes.Contains(all, []byte(mark)) {
			t.Error("after the restore the person is found")
		}
		if i == 0 {
			var list []string
			for k := range n {
				list = append(list, strings.NewReplacer(mark, "somebody", markedIP, "203.0.113.9").Replace(marked(99+3*k)))
			}
			s.do(201, "POST", "/v1/events", "["+strings.Join(list, ",")+"]")
		}
		if events := s.do(200, "GET", fmt.Sprintf("/v1/events/%d", lost[0]), ""); !bytes.Contains(events, []byte("somebody-agent")) {
			t.Errorf("where a lost event stood is %s, want another", events)
		}
		s.await(func() bool { return others() == n })
		s.stop()
		if where := traces(t, backup); len(where) > 0 {
			t.Fatalf("after the restore:\n%s", strings.Join(where, "\n"))
		}
		// All is looked at again at the next start.
		if err := os.Remove(filepath.Join(backup, "retain", "applied.json")); err != nil {
			t.Fatal(err)
		}
	}
}
