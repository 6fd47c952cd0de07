package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/custody-log/custody"
	"github.com/custody-log/custody/proof"
)

// defaultURL is where a log is looked for when nobody says.
const defaultURL = "http://" + defaultListen

// maxKeyFileBytes bounds files with keys and policies.
const maxKeyFileBytes = 1 << 20

// client returns a client of the log that env names.
func client(env *Env, opts ...custody.Option) (*custody.Client, error) {
	address := env.Getenv("CUSTODY_URL")
	if address == "" {
		address = defaultURL
	}
	key, err := apiKey(env)
	if err != nil {
		return nil, err
	}
	opts = append([]custody.Option{custody.WithPatience(patience)}, opts...)
	return custody.New(address, key, opts...)
}

// patience is how long somebody who waits at a terminal should wait for a log
// that is away.
const patience = 2 * time.Second

// apiKey returns the API key that env names; "" if none.
func apiKey(env *Env) (string, error) {
	if key := env.Getenv("CUSTODY_KEY"); key != "" {
		return strings.TrimSpace(key), nil
	}
	file := env.Getenv("CUSTODY_KEY_FILE")
	if file == "" {
		return "", nil
	}
	data, err := readFile(file)
	if err != nil {
		return "", fmt.Errorf("CUSTODY_KEY_FILE: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// policy returns what evidence is checked against: a public key, or a file
// that holds one or a C2SP policy. given is the flag's value.
func policy(env *Env, given string) (*proof.Policy, error) {
	if given == "" {
		given = env.Getenv("CUSTODY_LOG_KEY")
	}
	if given == "" {
		return nil, withHint(errors.New("the log's public key is not known"),
			"get it from whoever runs the log, not over the connection it is to check; then -key KEY-OR-FILE, or CUSTODY_LOG_KEY")
	}
	if strings.Count(given, "+") >= 2 && !strings.ContainsAny(given, "\n") {
		if p, err := proof.KeyPolicy(given); err == nil {
			return p, nil
		} else if _, statErr := os.Stat(given); statErr != nil {
			return nil, err
		}
	}
	data, err := readFile(given)
	if err != nil {
		return nil, err
	}
	p, err := proof.ParsePolicy(bytes.TrimSpace(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", given, err)
	}
	return p, nil
}

// readFile reads a small file.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxKeyFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, at most %d", name, info.Size(), maxKeyFileBytes)
	}
	return os.ReadFile(name)
}
