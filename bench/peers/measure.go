package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

// A measurement is a stage under way.
type measurement struct {
	options *options
	plan    *plan
	events  string // file
	home    string
	peer    peer
	opened  time.Time // when opening began
	result  *result
}

func (m *measurement) run(ctx context.Context, name string) error {
	switch name {
	case stageWrite:
		return m.write(ctx)
	case stageAsk:
		if err := m.askAll(ctx); err != nil {
			return err
		}
		return m.export(ctx)
	case stageRestart:
		return m.restart(ctx)
	case stageRemove:
		return m.remove(ctx)
	}
	return m.askCold(ctx, topic(name[len(stageCold):]))
}

// write measures how fast all events are kept, and what they take.
func (m *measurement) write(ctx context.Context) error {
	f, err := os.Open(m.events)
	if err != nil {
		return err
	}
	defer f.Close()
	s := &supply{in: bufio.NewReaderSize(f, fileBuffer)}
	var latency series
	began, cpu, client := time.Now(), cpuOf(m.peer), ownCPU()
	m.result.PeakBytes, err = peakOf(ctx, m.peer, func() error {
		if err := inParallel(ctx, m.options.Writers, func(ctx context.Context) error { return m.writeSome(ctx, s, &latency) }); err != nil {
			return err
		}
		m.result.Seconds[secondsWrite] = time.Since(began).Seconds()
		m.result.CPU = micros(cpuOf(m.peer)-cpu, m.options.Events)
		m.result.ClientCPU = micros(ownCPU()-client, m.options.Events)
		began = time.Now()
		return m.peer.settle(ctx)
	})
	if err != nil {
		return err
	}
	m.result.Seconds[secondsSettle] = time.Since(began).Seconds()
	m.result.SettledCPU = micros(cpuOf(m.peer)-cpu, m.options.Events)
	m.result.Batches = latency.spread()
	m.result.RestBytes = memoryOf(m.peer)
	m.result.DiskBytes, err = m.peer.size(ctx)
	return err
}

// writeSome writes batches until there are none.
func (m *measurement) writeSome(ctx context.Context, s *supply, latency *series) error {
	var b batch
	for {
		switch err := s.fill(&b); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		began := time.Now()
		if err := m.peer.write(ctx, &b); err != nil {
			return fmt.Errorf("events from %d: %w", b.first, err)
		}
		latency.add(time.Since(began))
	}
}

// asked returns the topics that the flags ask for.
func (m *measurement) asked() ([]topic, error) {
	pattern, err := regexp.Compile(m.options.Questions)
	if err != nil {
		return nil, fmt.Errorf("peers: -questions: %w", err)
	}
	var list []topic
	for _, t := range topics {
		if pattern.MatchString(string(t.topic)) {
			list = append(list, t.topic)
		}
	}
	return list, nil
}

func (m *measurement) askAll(ctx context.Context) error {
	list, err := m.asked()
	if err != nil {
		return err
	}
	for _, t := range list {
		warm, err := m.askTopic(ctx, m.plan.Questions[t])
		switch {
		case err == nil:
			m.result.Warm[t] = warm
		case !m.result.excuse(string(t), err):
			return err
		}
	}
	return nil
}

// askTopic asks questions once to see that the answers are right, and once more
// to time them. If the first time took all the time there is, it counts.
func (m *measurement) askTopic(ctx context.Context, list []*question) (spread, error) {
	var first, second series
	until := time.Now().Add(m.options.Budget / 2)
	for i, q := range list {
		if err := m.ask(ctx, q, &first); err != nil {
			return spread{}, err
		}
		if time.Now().After(until) {
			list = list[:i+1]
			break
		}
	}
	if time.Now().After(until) {
		return first.spread(), nil
	}
	for _, q := range list {
		if err := m.ask(ctx, q, &second); err != nil {
			return spread{}, err
		}
	}
	return second.spread(), nil
}

// ask asks one question.
func (m *measurement) ask(ctx context.Context, q *question, times *series) error {
	began := time.Now()
	read, err := m.peer.ask(ctx, q)
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("question about %s %s: %w", q.Topic, q.Value, err)
	}
	times.add(took)
	a, err := read()
	if err != nil {
		return fmt.Errorf("answer about %s %s: %w", q.Topic, q.Value, err)
	}
	return q.check(a)
}

// coldQuestions is how many questions are asked of a peer just started.
const coldQuestions = 20

// askCold asks the first questions of a topic once each.
func (m *measurement) askCold(ctx context.Context, t topic) error {
	list, err := m.asked()
	if err != nil {
		return err
	}
	var times series
	for _, one := range list {
		if one != t {
			continue
		}
		until := time.Now().Add(m.options.Budget)
		for _, q := range m.plan.Questions[t][:min(len(m.plan.Questions[t]), coldQuestions)] {
			if err := m.ask(ctx, q, &times); err != nil {
				if m.result.excuse("cold "+string(t), err) {
					return nil
				}
				return err
			}
			if time.Now().After(until) {
				break
			}
		}
		m.result.Cold[t] = times.spread()
	}
	return nil
}
