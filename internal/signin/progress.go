package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// Limits of sign-ins under way.
const (
	progressLife = 10 * time.Minute
	maxFinished  = 10_000 // that are remembered, so that none is finished twice
)

// A progress is a sign-in that was begun in a browser and is at the provider.
// The browser keeps it, sealed, so that those who begin many cost nothing.
type progress struct {
	state    string // that the provider sends back
	nonce    string // that is in its token
	verifier string // of PKCE
	until    time.Time
	next     string // where the person wants to go
}

// progresses seals them with a key of this process, and knows which are finished.
type progresses struct {
	seal cipher.AEAD

	mu       sync.Mutex
	finished map[[sha256.Size]byte]bool
	order    []ended // oldest first
}

type ended struct {
	state [sha256.Size]byte
	until time.Time // when it is too old anyway
}

func newProgresses() *progresses {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("signin: a key of 32 bytes: " + err.Error())
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("signin: AES: " + err.Error())
	}
	return &progresses{seal: seal, finished: make(map[[sha256.Size]byte]bool)}
}

// begin makes a progress, and what the browser keeps of it.
func (p *progresses) begin(next string) (*progress, string) {
	b := &progress{
		state: newSecret(), nonce: newSecret(), verifier: oauth2.GenerateVerifier(),
		until: time.Now().Add(progressLife), next: next,
	}
	text := strings.Join([]string{b.state, b.nonce, b.verifier, strconv.FormatInt(b.until.Unix(), 10), b.next}, "\n")
	return b, base64.RawURLEncoding.EncodeToString(p.seal.Seal(nil, nil, []byte(text), nil))
}

// take returns the progress with a state from what the browser kept, and ends
// it. There may be several, of which at most one is ours.
func (p *progresses) take(sealed []string, state string) (*progress, bool) {
	for i, text := range sealed {
		if i == maxCookies {
			break
		}
		b, ok := p.open(text)
		if ok && subtle.ConstantTimeCompare([]byte(b.state), []byte(state)) == 1 {
			return b, p.finish(b)
		}
	}
	return nil, false
}

func (p *progresses) open(sealed string) (*progress, bool) {
	data, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, false
	}
	text, err := p.seal.Open(nil, nil, data, nil)
	if err != nil {
		return nil, false
	}
	parts := strings.SplitN(string(text), "\n", 5)
	until, err := strconv.ParseInt(parts[3], 10, 64)
	b := &progress{state: parts[0], nonce: parts[1], verifier: parts[2], until: time.Unix(until, 0), next: parts[4]}
	return b, err == nil && time.Now().Before(b.until)
}

// finish reports whether b is finished for the first time.
func (p *progresses) finish(b *progress) bool {
	hash, now := hashOf(b.state), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.order) > 0 && (len(p.order) >= maxFinished || now.After(p.order[0].until)) {
		delete(p.finished, p.order[0].state)
		p.order = p.order[1:]
	}
	if p.finished[hash] {
		return false
	}
	p.finished[hash] = true
	p.order = append(p.order, ended{hash, b.until})
	return true
}
