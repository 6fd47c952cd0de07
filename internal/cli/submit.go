package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/event"
)

func submitCommand() *command {
	return &command{
		name:  "submit",
		usage: "[flags] [FILE]",
		short: "record events and print their positions",
		long: `Records one event, or a batch: a JSON object, a JSON array, or with -ndjson an event
a line; from FILE or standard input. A batch is recorded whole or not at all; many lines are
sent in batches of 2000 or 4 MiB, one after the other. It is safe to submit the same events again.

  custody submit event.json
  custody submit -ndjson < events.ndjson
  custody submit -ndjson -imported history.ndjson     history from before this log`,
		run: func(ctx context.Context, env *Env, flags *flag.FlagSet, args []string) error {
			ndjson := flags.Bool("ndjson", false, "the input is one event a line, any number of them")
			imported := flags.Bool("imported", false, "mark the events as history that is loaded later; needs an administrator's key")
			asJSON := flags.Bool("json", false, "print the answer as the HTTP API gives it")
			rest, err := parse(flags, args, 0, 1)
			if err != nil {
				return err
			}
			c, err := client(env)
			if err != nil {
				return err
			}
			in := env.Stdin
			if len(rest) == 1 && rest[0] != "-" {
				f, err := os.Open(rest[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			s := &submission{env: env, client: c, asJSON: *asJSON, ndjson: *ndjson}
			if *imported {
				s.opts = append(s.opts, custody.Imported())
			}
			if *ndjson {
				return s.lines(ctx, in)
			}
			return s.whole(ctx, in)
		},
	}
}

// A submission is one run of submit.
type submission struct {
	env    *Env
	client *custody.Client
	asJSON bool
	ndjson bool
	opts   []custody.SubmitOption
}

// whole submits all of in at once.
func (s *submission) whole(ctx context.Context, in io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(in, event.MaxBatchBytes+1))
	if err != nil {
		return err
	}
	if len(data) > event.MaxBatchBytes {
		return withHint(fmt.Errorf("the input has more than %d bytes", event.MaxBatchBytes), "write one event a line and use -ndjson")
	}
	return s.send(ctx, data)
}

// Bounds of the batches that lines are sent in.
const (
	batchLines = 2000
	batchBytes = 4 << 20
)

// lines submits in, a line at a time, in batches.
func (s *submission) lines(ctx context.Context, in io.Reader) error {
	r := newLineReader(in, event.MaxJSONBytes)
	var batch bytes.Buffer
	var numbers []int // of the lines in batch
	n := 0
	for {
		line, err := r.next()
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			batch.Write(bytes.TrimRight(line, "\r\n"))
			batch.WriteByte('\n')
			numbers = append(numbers, r.line)
			n++
		}
		if n > 0 && (last || n == batchLines || batch.Len() >= batchBytes) {
			if err := s.send(ctx, batch.Bytes()); err != nil {
				return atLine(err, numbers)
			}
			batch.Reset()
			n, numbers = 0, numbers[:0]
		}
		if last {
			return nil
		}
	}
}

// atLine says on which line the event is that err blames.
func atLine(err error, numbers []int) error {
	if e, ok := errors.AsType[*custody.Error](err); ok && e.Index >= 0 && e.Index < len(numbers) {
		return fmt.Errorf("line %d: %w", numbers[e.Index], err)
	}
	return err
}

// send submits data and prints the positions.
func (s *submission) send(ctx context.Context, data []byte) error {
	acks, raw, err := s.client.SubmitJSON(ctx, data, s.ndjson, s.opts...)
	if err != nil {
		return err
	}
	if s.asJSON {
		var line bytes.Buffer
		if err := json.Compact(&line, raw); err != nil {
			return err
		}
		fmt.Fprintf(s.env.Stdout, "%s\n", line.Bytes())
		return nil
	}
	for _, a := range acks {
		fmt.Fprintln(s.env.Stdout, a.Seq)
	}
	return nil
}
