// Custody is the audit log for package registries.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/custody-log/custody/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	env := &cli.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: cli.BuildVersion()}
	status := cli.Run(ctx, env, os.Args[1:])
	stop()
	os.Exit(status)
}
