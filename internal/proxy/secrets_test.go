package proxy_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/custody-log/custody/internal/disk"
)

// TestNoSecretIsKept sends secrets through every door there is and then looks
// for them in everything the proxy wrote: events, spool, files, log, metrics.
func TestNoSecretIsKept(t *testing.T) {
	const (
		token    = "tok-MARKERtoken4711"
		password = "MARKERpassword4711"
		otp      = "471147"
		answer   = "tok-MARKERissued4711"
	)
	var asked atomic.Int64
	upstream := toyRegistry(false, &asked)
	b := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Break") != "" {
			panic(http.ErrAbortHandler)
		}
		upstream(w, r)
	}))
	send := func(method, path, auth, body string, header ...string) {
		r, err := http.NewRequestWithContext(t.Context(), method, b.door.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", auth)
		r.Header.Set("Npm-Otp", otp)
		r.Header.Set("Cookie", "session="+token)
		for _, name := range header {
			r.Header.Set(name, "1")
		}
		b.send(r)
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+password))
	everything := func() {
		send("PUT", "/login/MARKERissued4711", "Bearer "+token, "right")
		send("PUT", "/login/alice", "Bearer "+token, password)
		send("PUT", "/pkg/demo", "Bearer "+token, password)
		send("PUT", "/pkg/demo?token="+token, "bearer "+token, password)
		send("PUT", "/pkg/demo", token, password)
		send("PUT", "/pkg/demo", basic, password)
		send("GET", "/file/demo", "Bearer "+token, "")
		send("PUT", "/pkg/demo", "Bearer "+token, "", "X-Break")
		send("GET", "/user/token/"+token+"/../x", "Bearer "+token, "")
		send("GET", "/user/token/"+token, "Bearer "+token, "", "X-Break")
	}
	everything()
	b.log.setDown(true)
	everything()
	b.upstream.Close()
	everything()
	b.stop()

	var all strings.Builder
	all.WriteString(b.log.json.String())
	for _, e := range b.spool.events {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	names, err := b.disk.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := disk.ReadFile(b.disk, name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	all.WriteString(b.words.String())
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		all.WriteString(f.String())
	}
	if n := all.Len(); n < 10_000 {
		t.Fatalf("only %d bytes were written: the test looks at too little", n)
	}
	// The name that somebody signs in with is no secret; the toy's token is made of it.
	text := strings.ReplaceAll(all.String(), `"MARKERissued4711"`, "")
	for _, secret := range []string{token, url.QueryEscape(token), "MARKERtoken", password, answer, `"` + otp, basic[6:]} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%q is in what the proxy wrote: …%s…", secret, text[max(0, i-200):min(len(text), i+100)])
		}
	}
}
