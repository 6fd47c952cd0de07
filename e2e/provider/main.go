// Command provider serves an OpenID Connect provider on this machine, for tests
// of signing in: dex, with everything in memory and people whose password
// everybody knows. It prints its address once it answers.
//
//	go run . -listen 127.0.0.1:5556 -redirect http://127.0.0.1:8080/signin/callback
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "provider:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("provider", flag.ContinueOnError)
	address := flags.String("listen", "127.0.0.1:0", "`address` on this machine to serve on")
	redirect := flags.String("redirect", "http://127.0.0.1:8080/signin/callback", "`address` to which people are sent back")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	listen, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	if at, ok := listen.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		return fmt.Errorf("%s is not an address of this machine alone: everybody knows the passwords", listen.Addr())
	}
	issuer := "http://" + listen.Addr().String()
	handler, err := newProvider(ctx, issuer, *redirect)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close() // it serves tests: nothing is lost
	}()
	fmt.Fprintln(out, issuer)
	if err := server.Serve(listen); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
