package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// The client is lean, because it shares the machine with the server: requests
// are bytes made beforehand, written in one call, and of the answer only the
// status and the length are looked at.

// answerLimit bounds the wait for one answer.
const answerLimit = 30 * time.Second

// A conn is one connection that is kept for many requests.
type conn struct {
	net.Conn
	answers *bufio.Reader
}

func dial(ctx context.Context, addr string, answerBytes int) (*conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, answers: bufio.NewReaderSize(c, answerBytes)}, nil
}

// do sends a request, which is one or more pieces, and reads the answer, whose
// status must be want.
func (c *conn) do(want int, request ...[]byte) error {
	for _, piece := range request {
		if _, err := c.Write(piece); err != nil {
			return err
		}
	}
	status, length, err := c.head()
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if status != want {
		said := make([]byte, max(0, min(length, 1000)))
		_, _ = io.ReadFull(c.answers, said) // the status is the news
		return fmt.Errorf("answer: status %d, want %d: %s", status, want, said)
	}
	if length < 0 {
		return c.skipChunks()
	}
	_, err = c.answers.Discard(length)
	return err
}

var (
	lengthName = []byte("Content-Length: ")
	httpName   = []byte("HTTP/1.1 ")
)

// head reads the head of an answer. The length is -1 if it comes in chunks.
func (c *conn) head() (status, length int, err error) {
	length = -1
	for first := true; ; first = false {
		line, err := c.answers.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch value, isLength := bytes.CutPrefix(line, lengthName); {
		case first:
			rest, ok := bytes.CutPrefix(line, httpName)
			if !ok || len(rest) < 3 {
				return 0, 0, errors.New("not HTTP/1.1")
			}
			status, err = strconv.Atoi(string(rest[:3]))
		case isLength:
			length, err = strconv.Atoi(string(value))
		case len(line) == 0:
			return status, length, nil
		}
		if err != nil {
			return 0, 0, err
		}
	}
}

// skipChunks reads to the end of a body that comes in chunks.
func (c *conn) skipChunks() error {
	for {
		line, err := c.answers.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return err
		}
		if _, err := c.answers.Discard(int(size) + len("\r\n")); err != nil || size == 0 {
			return err
		}
	}
}

// get returns the body of the answer to a plain request, for all that is not
// measured.
func get(ctx context.Context, key, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d: %s", url, answer.StatusCode, body)
	}
	return body, err
}
