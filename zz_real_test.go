package custody_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/internal/config"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/server"
)

func TestReal(t *testing.T) {
	dir, err := disk.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan server.Hello, 1)
	s, err := server.Open(t.Context(), server.Config{Data: dir, Listen: lis, Origin: "log.example.com", Version: "x", File: &config.Config{}, Catalogue: cat,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Ready: func(h server.Hello) { ready <- h }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	h := <-ready
	mem := filepath.Join(t.TempDir(), "mem")
	c, err := custody.New("http://"+h.Addr, h.APIKey, custody.WithLogKey(h.LogKey), custody.WithMemory(mem))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	ack, r, err := c.RecordAndProve(ctx, release("1.0.0"))
	fmt.Println("prove:", ack.Seq, err, time.Since(start))
	if err != nil {
		t.Fatal(err)
	}
	_ = r
	cp, _, err := c.Checkpoint(ctx)
	fmt.Println("checkpoint", cp.N, err)
	tailed := make(chan int, 1)
	tctx, tcancel := context.WithCancel(ctx)
	info, err := c.Info(ctx)
	fmt.Printf("info %+v %v\n", info, err)
	go func() {
		n := 0
		for _, err := range c.Tail(tctx, "project:demo-pkg", info.Size) {
			if err != nil {
				fmt.Println("tail", err)
				break
			}
			if n++; n >= 0 {
				break
			}
		}
		tailed <- n
	}()
	b, err := custody.OpenBuffer(filepath.Join(t.TempDir(), "buf"), c)
	if err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	workers := make(chan bool)
	for range 50 {
		go func() {
			for range 400 {
				e := release("2.0.0")
				if err := b.Put(&e); err != nil {
					t.Error(err)
				}
			}
			workers <- true
		}()
	}
	for range 50 {
		<-workers
	}
	fmt.Println("put 20000 from 50 goroutines", time.Since(start), b.State())
	bctx, bcancel := context.WithCancel(ctx)
	bdone := make(chan error)
	go func() { bdone <- b.Run(bctx) }()
	start = time.Now()
	fmt.Println(b.Wait(ctx), "sent 20000", time.Since(start))
	bcancel()
	fmt.Println(<-bdone, b.State(), b.Close())
	acks, err := c.RecordAll(ctx, []custody.Event{release("3"), release("4"), release("5")})
	fmt.Println(len(acks), err)
	select {
	case n := <-tailed:
		fmt.Println("tailed", n)
	case <-time.After(5 * time.Second):
		tcancel()
		fmt.Println("TAIL TIMEOUT", <-tailed)
	}
	n := 0
	for _, err := range c.Search(ctx, custody.Query{Text: "project:demo-pkg", Limit: 1000, After: time.Now().Add(-time.Hour)}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	fmt.Println("found", n)
	cp, _, err = c.Checkpoint(ctx)
	fmt.Println("checkpoint", cp, err)
	k, secret, err := c.CreateAPIKey(ctx, "ci", "ci", "submit")
	fmt.Println(k, secret != "", err)
	keys, err := c.APIKeys(ctx)
	fmt.Println(len(keys), err, c.RevokeAPIKey(ctx, k.ID))
	lk, err := c.RotateLogKey(ctx)
	fmt.Println(lk, err)
	rr, err := c.Receipt(ctx, 5)
	fmt.Println(err, rr != nil)
	lk, err = c.RetireLogKey(ctx, h.LogKey)
	fmt.Println(lk, err)
	_, _, err = c.RecordAndProve(ctx, release("6"))
	fmt.Println("after retire:", err)
	_, _, err = c.SubmitJSON(ctx, []byte(`{"id":"x"}`), false)
	fmt.Println(err)
	bad := release("7")
	bad.Metadata = map[string]any{"size": "not a number"}
	_, err = c.Record(ctx, bad)
	fmt.Println(err)
	for f, err := range c.Search(ctx, custody.Query{Text: "foo:(bar"}) {
		fmt.Println(f, err)
	}
	info, err = c.Info(ctx)
	fmt.Printf("info %+v %v\n", info.Sources, err)
	cancel()
	fmt.Println(<-done)
}
