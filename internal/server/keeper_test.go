package server_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// Who breaks into an account and then deletes it wipes no tracks: the account is
// held, and an erasure of it waits. The hold survives a restart. If this fails,
// deleting the account is the way to hide.
func TestDeletedAccountIsHeld(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir, "")
	s.submit(0, 1)
	s.do(201, "POST", "/v1/events", fmt.Sprintf(`{"id":"gone","tag":"user:account:delete","time":%q,
 "actor":{"type":"user","id":"%s-id"},"subjects":[{"type":"user","id":"%s-id","name":"%s-name"}]}`, time.Now().UTC().Format(time.RFC3339), mark, mark, mark))
	type holds struct{ Holds []struct{ ID, By string } }
	var list holds
	s.await(func() bool { list = get[holds](s, "GET", "/v1/holds", "", 200); return len(list.Holds) == 1 })
	asked := s.erase()
	if held := s.reaches(asked.ID, "held"); len(held.Kept) != 1 || held.Kept[0].Hold != list.Holds[0].ID || held.Records != 0 {
		t.Errorf("the erasure is %+v, want all held by %s", held, list.Holds[0].ID)
	}
	s.stop()
	s = serve(t, dir, s.key)
	if again := get[holds](s, "GET", "/v1/holds", "", 200); len(again.Holds) != 1 || again.Holds[0] != list.Holds[0] {
		t.Errorf("after a restart the holds are %+v, want %+v", again, list)
	}
	placed := func() int {
		return bytes.Count(s.do(200, "GET", "/v1/events?q=tag:audit:hold:place", ""), []byte(`"seq"`))
	}
	if n := placed(); n != 1 {
		t.Errorf("the hold was recorded %d times, want once", n)
	}
}

// What is past its time goes when somebody asks for it, which is an event, but for
// what is held. If this fails the log keeps what it must not, or loses what it must
// keep.
func TestPurge(t *testing.T) {
	s := serve(t, t.TempDir(), "")
	at := func(days int) string {
		return time.Now().Add(-time.Duration(days) * 24 * time.Hour).UTC().Format(time.RFC3339)
	}
	login := func(id string, days int) string {
		return fmt.Sprintf(`{"id":%q,"tag":"user:login:success","time":%q,"actor":{"type":"user","id":"u-1"},"context":{"request_id":%q}}`, id, at(days), id)
	}
	s.do(201, "POST", "/v1/events", "["+login("old-1", 20)+","+login("old-2", 20)+"]")
	s.do(201, "POST", "/v1/holds", `{"query":"request:old-2"}`)
	s.do(200, "POST", "/v1/log/seal", "")
	s.do(200, "PUT", "/v1/retention/user-auth", `{"keep":"10d"}`)
	type purged struct{ Events, Held int }
	if is := get[purged](s, "POST", "/v1/retention/purge", "", 200); is != (purged{1, 1}) {
		t.Errorf("purged %+v, want one event, and one held", is)
	}
	s.await(func() bool {
		return bytes.Contains(s.do(200, "GET", "/v1/events?q=tag:audit:retention:purge", ""), []byte(`"count":1`))
	})
	found := s.do(200, "GET", "/v1/events?q=tag:user:login:success", "")
	if bytes.Contains(found, []byte("old-1")) || !bytes.Contains(found, []byte("old-2")) {
		t.Errorf("after the purge there is %s", found)
	}
	changed := s.do(200, "GET", "/v1/events?q=tag:audit:retention:policy_change", "")
	if !bytes.Contains(changed, []byte("first administrator")) {
		t.Errorf("the change of the policy is recorded as %s", changed)
	}
}
