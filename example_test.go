package custody_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/proof"
)

// startLog stands for a log that somebody runs: its address, an API key, and
// its public key.
func startLog() (address, key, publicKey string, stop func()) {
	l := makeFakeLog()
	server := httptest.NewServer(l)
	return server.URL, testKey, l.vkey, server.Close
}

// Recording an event is one call. When it returns, the event is durable.
func ExampleClient_Record() {
	address, key, _, stop := startLog()
	defer stop()

	client, err := custody.New(address, key)
	if err != nil {
		panic(err)
	}
	ack, err := client.Record(context.Background(), custody.Event{
		Tag:      "project:release:add",
		Actor:    custody.Party{Type: "user", ID: "u-17", Name: "alice"},
		Subjects: []custody.Subject{{Type: "version", ID: "p-4", Name: "demo-pkg", Version: "1.2.0"}},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("event", ack.Seq, "is durable")
	// Output: event 0 is durable
}

// What is wrong with an event is found before it is sent, and named.
func ExampleClient_Record_invalid() {
	address, key, _, stop := startLog()
	defer stop()

	client, err := custody.New(address, key)
	if err != nil {
		panic(err)
	}
	_, err = client.Record(context.Background(), custody.Event{
		Tag:      "project:release:add",
		Actor:    custody.Party{Type: "user", Name: "alice"},
		Subjects: []custody.Subject{{Name: "demo-pkg"}},
	})
	if wrong, ok := errors.AsType[*event.InvalidError](err); ok {
		fmt.Println(wrong.Path, wrong.Reason)
	}
	// Output: subjects[0].type is missing
}

// A receipt is the evidence for one event. The client checks it; whoever gets
// the file can check it again, without the log.
func ExampleClient_RecordAndProve() {
	address, key, publicKey, stop := startLog()
	defer stop()

	client, err := custody.New(address, key, custody.WithLogKey(publicKey))
	if err != nil {
		panic(err)
	}
	_, receipt, err := client.RecordAndProve(context.Background(), custody.Event{
		Tag:      "project:release:add",
		Actor:    custody.Party{Type: "user", Name: "alice"},
		Subjects: []custody.Subject{{Type: "version", Name: "demo-pkg", Version: "1.2.0"}},
	})
	if err != nil {
		panic(err)
	}

	// Years later, elsewhere, with the file and the public key alone:
	policy, err := proof.KeyPolicy(publicKey)
	if err != nil {
		panic(err)
	}
	kept, err := proof.ParseReceipt(receipt.Text)
	if err != nil {
		panic(err)
	}
	proved, err := kept.Verify(policy)
	if err != nil {
		panic(err)
	}
	e := proved.Fields.Event()
	fmt.Printf("event %d of %s: %s, by %s\n", proved.Seq, proved.Checkpoint.Origin, e.Tag, e.Actor.Name)
	// Output: event 0 of log.example.com: project:release:add, by alice
}

// A buffer takes events while the log is away, and says how far behind it is.
func ExampleBuffer() {
	address, key, _, stop := startLog()
	defer stop()
	dir, err := os.MkdirTemp("", "buffer")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	client, err := custody.New(address, key)
	if err != nil {
		panic(err)
	}
	buffer, err := custody.OpenBuffer(filepath.Join(dir, "events"), client)
	if err != nil {
		panic(err)
	}
	defer buffer.Close()

	for _, version := range []string{"1.2.0", "1.2.1"} {
		err := buffer.Put(&custody.Event{
			Tag:      "project:release:add",
			Actor:    custody.Party{Type: "user", Name: "alice"},
			Subjects: []custody.Subject{{Type: "version", Name: "demo-pkg", Version: version}},
		})
		if err != nil {
			panic(err) // it is not on the disk
		}
	}
	fmt.Println(buffer.Behind(), "events behind")

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- buffer.Run(ctx) }()
	if err := buffer.Wait(ctx); err != nil {
		panic(err)
	}
	cancel()
	fmt.Println(buffer.Behind(), "events behind,", <-done)
	// Output:
	// 2 events behind
	// 0 events behind, <nil>
}

// Requests are recorded with how they ended and where they came from.
func ExampleMiddleware() {
	address, key, _, stop := startLog()
	defer stop()

	client, err := custody.New(address, key)
	if err != nil {
		panic(err)
	}
	describe := func(r *http.Request) *custody.Event {
		if r.Method != http.MethodDelete {
			return nil // not an event
		}
		return &custody.Event{
			Tag:      "project:release:remove",
			Actor:    custody.Party{Type: "user", Name: "alice"}, // as your sign-in says
			Subjects: []custody.Subject{{Type: "project", Name: r.URL.Path[1:]}},
		}
	}
	lost := func(e *custody.Event, err error) { fmt.Println("lost:", e.Tag, err) }
	handler := custody.Middleware(client, describe, lost)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))

	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, "/demo-pkg", nil))
	for found, err := range client.Search(context.Background(), custody.Query{Text: "project:demo-pkg"}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(found.Tag, found.Subjects[0].Name, found.Outcome)
	}
	// Output: project:release:remove demo-pkg denied
}

// StampAdd is a type of event of our own.
var StampAdd = custody.MustType("project:stamp:add", custody.Field("colour", custody.Text))

// A new type of event is one line, and recording one reads like a sentence.
func ExampleMustType() {
	address, key, _, stop := startLog()
	defer stop()

	client, err := custody.New(address, key)
	if err != nil {
		panic(err)
	}
	alice := custody.Party{Type: "user", Name: "alice"}
	demo := custody.Subject{Type: "project", Name: "demo-pkg"}

	ack, err := client.Record(context.Background(), StampAdd.By(alice).On(demo).With("colour", "red").Event())
	fmt.Println(ack.Seq, err)

	_, err = client.Record(context.Background(), StampAdd.By(alice).On(demo).With("colour", 7).Event())
	if wrong, ok := errors.AsType[*event.InvalidError](err); ok {
		fmt.Println(wrong)
	}
	// Output:
	// 0 <nil>
	// metadata.colour must be a string, not of type int
}

// Counting finds what stands out, without reading the events.
func ExampleClient_Facets() {
	address, key, _, stop := startLog()
	defer stop()

	client, err := custody.New(address, key)
	if err != nil {
		panic(err)
	}
	bob := custody.Party{Type: "user", Name: "bob"}
	events := []custody.Event{
		{Tag: "user:login:failure", Actor: bob, Outcome: custody.Denied},
		{Tag: "user:login:failure", Actor: bob, Outcome: custody.Denied},
	}
	if _, err := client.RecordAll(context.Background(), events); err != nil {
		panic(err)
	}
	f, err := client.Facets(context.Background(), custody.Query{Text: "outcome:denied"}, "actor")
	if err != nil {
		panic(err)
	}
	fmt.Println(f.Events, f.Complete, f.Values["actor"])
	// Output: 2 true [{bob 2}]
}

// Tail follows the log. It makes a lost connection anew and leaves nothing out.
func ExampleClient_Tail() {
	address, key, _, stop := startLog()
	defer stop()

	client, err := custody.New(address, key)
	if err != nil {
		panic(err)
	}
	events := []custody.Event{
		{Tag: "user:login:success", Actor: custody.Party{Type: "user", Name: "alice"}},
		{Tag: "user:login:failure", Actor: custody.Party{Type: "anonymous"}, Outcome: custody.Denied},
	}
	if _, err := client.RecordAll(context.Background(), events); err != nil {
		panic(err)
	}
	for found, err := range client.Tail(context.Background(), "", 0) {
		if err != nil {
			panic(err)
		}
		fmt.Println(found.Seq, found.Tag)
		if found.Seq == 1 {
			break
		}
	}
	// Output:
	// 0 user:login:success
	// 1 user:login:failure
}
