package tree_test

import (
	"encoding/hex"
	"net/http/httptest"
	"testing"

	"github.com/custody-log/custody/internal/disk"
)

// TestFormat compares the files of a small tree with what they were when the
// format was frozen: every receipt ever given depends on these bytes.
func TestFormat(t *testing.T) {
	list := makeRecords(3)
	dir := new(disk.Mem)
	tr := open(t, dir, list)
	feed(t, tr, list, 3)
	sign(t, tr)
	want := map[string]string{
		"commitments": "" +
			"03d9cc741a0dc36e8752b9e5c09baaed7431a9bce401dc710199a23a2f01aad3" +
			"e92b667eb438d66f429e37c1aab76513c1953666b7cb7997f739bfa786723cfd" +
			"1997ebe7ee9800e9fe8e16532432e53caf64130b3017bd4dd8bc4698e8b3ed1f",
		"level1": "",
		"checkpoint": "" +
			"log.example\n" +
			"3\n" +
			"RB++GbGkxO5FIDdrEsY3pxlILrbUu6e3RFedN1m6nWw=\n" +
			"\n" +
			"— log.example iRusLYTnOTmiCvB4nhEJG3TuoFExj8gGC4GQIAjCN95qAoMIT8lhR1Q/7S8/S7ySA9s9inFtMIWPxMGfu4z7DHEWmgQ=\n",
	}
	for name, text := range want {
		data, err := disk.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		got := hex.EncodeToString(data)
		if name == "checkpoint" {
			got = string(data)
		}
		if got != text {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, text)
		}
	}
	served := map[string]string{
		"/tile/entries/000.p/3": "" +
			"00210103d9cc741a0dc36e8752b9e5c09baaed7431a9bce401dc710199a23a2f01aad3" +
			"002101e92b667eb438d66f429e37c1aab76513c1953666b7cb7997f739bfa786723cfd" +
			"0021011997ebe7ee9800e9fe8e16532432e53caf64130b3017bd4dd8bc4698e8b3ed1f",
		"/tile/0/000.p/3": "" +
			"ee4bafd7ad549e8e4047561a7aebcc2a3b4fcf00233e82d219626938fda793efa95875" +
			"a78c0a1b97738e10e400570e833b5eaf320de3f3b1cfde8278d3bec0ffcd9100f4d84f" +
			"009581749bb7a5cd70498d29a1a1b139575026d4bf69f838dca4",
	}
	server := httptest.NewServer(tr.Handler())
	defer server.Close()
	for path, text := range served {
		if status, _, body := get(t, server.URL+path); hex.EncodeToString(body) != text {
			t.Errorf("%s is %d\n%x\nwant\n%s", path, status, body, text)
		}
	}
}
