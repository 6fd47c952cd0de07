package proxy

import (
	"bytes"
	"container/list"
	"context"
	"encoding/json"
	"sync"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/disk"
	"github.com/custody-log/custody/internal/registry"
)

const (
	identitiesFile = "identities.jsonl"

	maxIdentities     = 50_000 // remembered; the longest unused goes first
	maxFileIdentities = 2 * maxIdentities
	maxQueuedChanges  = 1024
)

// Identities is what the proxy knows of credentials, by fingerprint. It is in
// memory; [identities.keep] writes changes to the file behind it. A change
// that a crash loses is learned again.
//
// The file has one JSON object per line, and the last one of a fingerprint
// counts. Who can change it can put a wrong name to a credential in later
// events, next to the right fingerprint; the log itself is out of its reach.
type identities struct {
	fs      disk.FS
	changes chan change
	rewrite chan chan error // asks keep to write the file anew

	mu    sync.Mutex
	byFP  map[string]*list.Element // of *change
	order *list.List               // longest unused first
}

// A change is one line of the file.
type change struct {
	FP     string           `json:"fp"`
	User   string           `json:"user,omitempty"`
	Cred   event.Credential `json:"credential,omitzero"`
	OIDC   event.OIDC       `json:"oidc,omitzero"`
	Claim  bool             `json:"claimed,omitempty"`
	Forget bool             `json:"forget,omitempty"`
}

func openIdentities(fs disk.FS) (*identities, error) {
	t := &identities{
		fs:      fs,
		changes: make(chan change, maxQueuedChanges),
		rewrite: make(chan chan error),
		byFP:    make(map[string]*list.Element),
		order:   list.New(),
	}
	exists, err := fs.Exists(identitiesFile)
	if err != nil || !exists {
		return t, err
	}
	data, err := disk.ReadFile(fs, identitiesFile)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		var c change
		if json.Unmarshal(line, &c) != nil || c.FP == "" {
			continue // torn by a power cut: learned again
		}
		t.apply(c)
	}
	return t, t.compact()
}

// find returns who presents the credential with that fingerprint.
func (t *identities) find(fp string) (registry.Identity, bool) {
	if fp == "" {
		return registry.Identity{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	item, ok := t.byFP[fp]
	if !ok {
		return registry.Identity{}, false
	}
	t.order.MoveToBack(item)
	c := item.Value.(*change)
	return registry.Identity{User: c.User, Credential: c.Cred, OIDC: c.OIDC, Claimed: c.Claim}, true
}

// learn remembers who presents a credential. What is known of it already and
// not said again stays.
func (t *identities) learn(fp string, id registry.Identity) {
	if fp == "" {
		return
	}
	if known, ok := t.find(fp); ok {
		id = merge(known, id)
		if id == known {
			return
		}
	}
	t.change(change{FP: fp, User: id.User, Cred: id.Credential, OIDC: id.OIDC, Claim: id.Claimed})
}

// merge returns news, completed from known. A claim never replaces what the
// registry has confirmed.
func merge(known, news registry.Identity) registry.Identity {
	if news.Claimed && !known.Claimed && known.User != "" {
		return known
	}
	if news.User == "" {
		news.User = known.User
	}
	if news.OIDC == (event.OIDC{}) {
		news.OIDC = known.OIDC
	}
	if news.Credential.Kind == "" {
		news.Credential.Kind = known.Credential.Kind
	}
	if news.Credential.Name == "" {
		news.Credential.Name = known.Credential.Name
	}
	if news.Credential.MFA == "" {
		news.Credential.MFA = known.Credential.MFA
	}
	if news.Credential.Session == "" {
		news.Credential.Session = known.Credential.Session
	}
	return news
}

// forget drops a credential that is no longer valid.
func (t *identities) forget(fp string) {
	if _, ok := t.find(fp); ok {
		t.change(change{FP: fp, Forget: true})
	}
}

func (t *identities) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byFP)
}

func (t *identities) change(c change) {
	t.apply(c)
	select {
	case t.changes <- c:
	default: // known until the next restart, and then learned again
	}
}

func (t *identities) apply(c change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	item, ok := t.byFP[c.FP]
	switch {
	case c.Forget && ok:
		t.order.Remove(item)
		delete(t.byFP, c.FP)
	case c.Forget:
	case ok:
		item.Value = &c
		t.order.MoveToBack(item)
	default:
		t.byFP[c.FP] = t.order.PushBack(&c)
	}
	if len(t.byFP) > maxIdentities {
		oldest := t.order.Front()
		t.order.Remove(oldest)
		delete(t.byFP, oldest.Value.(*change).FP)
	}
}

// keep writes changes to the file until ctx ends. A failed write is returned;
// what is in memory stays right.
func (t *identities) keep(ctx context.Context) error {
	file, err := t.fs.Open(identitiesFile)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // synced after each write
	lines := t.size()
	for {
		buf, n, asked := t.waiting(ctx)
		if n == 0 && asked == nil {
			return nil
		}
		lines += n
		if _, err := file.Write(buf); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		if lines <= maxFileIdentities && asked == nil {
			continue
		}
		_ = file.Close()
		next, err := t.anew(asked)
		if err != nil {
			return err
		}
		file, lines = next, t.size()
	}
}

// anew writes the file anew, tells asked, unless that is nil, how that went, and
// opens it.
func (t *identities) anew(asked chan<- error) (disk.File, error) {
	err := t.compact()
	if asked != nil {
		asked <- err
	}
	if err != nil {
		return nil, err
	}
	return t.fs.Open(identitiesFile)
}

// waiting returns the lines of all changes that wait, at least one, and how
// many they are; none once ctx has ended. If somebody asks for the file to be
// written anew, it returns whom to tell; the changes are in memory already.
func (t *identities) waiting(ctx context.Context) (buf []byte, n int, asked chan error) {
	select {
	case c := <-t.changes:
		buf, n = appendLine(buf, c), 1
	case asked = <-t.rewrite:
	case <-ctx.Done():
		return nil, 0, nil
	}
	for {
		select {
		case c := <-t.changes:
			if asked == nil {
				buf, n = appendLine(buf, c), n+1
			}
		default:
			return buf, n, asked
		}
	}
}

// compact replaces the file by one with a line per credential, longest unused
// first.
func (t *identities) compact() error {
	var buf []byte
	t.mu.Lock()
	for item := t.order.Front(); item != nil; item = item.Next() {
		buf = appendLine(buf, *item.Value.(*change))
	}
	t.mu.Unlock()
	return disk.ReplaceFile(t.fs, identitiesFile, buf)
}

func appendLine(buf []byte, c change) []byte {
	line, err := json.Marshal(c)
	if err != nil {
		panic("proxy: identity that is not JSON: " + err.Error())
	}
	return append(append(buf, line...), '\n')
}
