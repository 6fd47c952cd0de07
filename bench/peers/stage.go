package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stageArgument is the first argument of a process that runs one stage; the
// second is the stage.
const stageArgument = "-stage"

// A stage is a part of what is done with a peer. Each runs in a process of its
// own, so that memory and CPU time are its own, and each but the first begins
// with a restart of the peer.
type stage struct {
	Name    string
	Peer    string
	Dir     string // with the events and the plan
	Home    string // of the peer whose files they are
	Options *options
}

// The stages.
const (
	stageWrite   = "write"
	stageAsk     = "ask"
	stageCold    = "ask cold " // and the topic
	stageRestart = "restart"
	stageRemove  = "remove"
)

// stageNames returns the stages in their order.
func stageNames(o *options) []string {
	names := []string{stageWrite, stageAsk}
	if o.Cold {
		for _, t := range topics {
			names = append(names, stageCold+string(t.topic))
		}
	}
	return append(names, stageRestart, stageRemove)
}

// isQuestions reports whether nothing but questions is in a stage.
func isQuestions(name string) bool { return name == stageAsk || isCold(name) }

// isCold reports whether a stage is about questions of a peer just started.
func isCold(name string) bool { return strings.HasPrefix(name, stageCold) }

// spawn runs a stage in a process of its own.
func spawn(ctx context.Context, s *stage) (*result, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	arguments, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	c := exec.CommandContext(ctx, program, stageArgument, string(arguments))
	c.Stdout, c.Stderr = &out, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it ends what it started
	c.WaitDelay = time.Minute
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process alone
	if err := c.Run(); err != nil {
		return nil, err
	}
	r := new(result)
	return r, json.Unmarshal(out.Bytes(), r)
}

// runStageProcess is what a process that spawn started does.
func runStageProcess(ctx context.Context, arguments string) error {
	s := new(stage)
	if err := json.Unmarshal([]byte(arguments), s); err != nil {
		return err
	}
	r, err := runStage(ctx, s)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// runStage runs a stage in this process.
func runStage(ctx context.Context, s *stage) (*result, error) {
	k, err := kindNamed(s.Peer)
	if err != nil {
		return nil, err
	}
	p, err := loadPlan(filepath.Join(s.Dir, planFile))
	if err != nil {
		return nil, err
	}
	if s.Name == stageWrite {
		p = &plan{} // it is long, and memory is measured
	}
	if isCold(s.Name) || s.Name == stageRestart {
		if err := coolDown(s.Home); err != nil {
			return nil, err
		}
	}
	m := &measurement{options: s.Options, plan: p, events: filepath.Join(s.Dir, eventsFile), home: s.Home, result: newResult()}
	began := time.Now()
	m.peer, err = k.open(ctx, &env{home: s.Home, options: s.Options})
	if err != nil {
		return nil, err
	}
	m.opened = began
	err = m.run(ctx, s.Name)
	return m.result, errors.Join(err, m.peer.close())
}
