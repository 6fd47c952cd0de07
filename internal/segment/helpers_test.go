package segment_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/gen"
)

// openKey is a log's key of open secrets.
var openKey = [16]byte{1, 2, 3}

// start is when the first event happens.
var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// records returns n records as the desk makes them of generated events.
func records(t testing.TB, n int) []*event.Record {
	t.Helper()
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	g := gen.New(c, 1, start)
	list := make([]*event.Record, n)
	var p event.Parser
	for i := range list {
		p.Added = append(p.Added[:0], event.TimeField("received", start.Add(time.Duration(i/100)*time.Second)),
			event.StringField("source", "registry"), event.StringField("trust", "witnessed"))
		f, err := p.Parse(g.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = seal(t, f, uint64(i))
	}
	return list
}

// seal returns the record of fields, after marking those that are personal.
func seal(t testing.TB, f event.Fields, number uint64) *event.Record {
	t.Helper()
	types := map[string]string{}
	for i := range f {
		if party, ok := strings.CutSuffix(f[i].Name, ".type"); ok {
			types[party] = string(f[i].Value)
		}
	}
	for i := range f {
		name := f[i].Name
		party := name
		if k := strings.LastIndexByte(name, '.'); k >= 0 {
			party = name[:k]
		}
		switch {
		case name == "context.ip", name == "context.user_agent", name == "reason", name == "credential.id", name == "metadata.error":
			f[i].Private = true
		case strings.HasSuffix(name, ".id"), strings.HasSuffix(name, ".name"):
			kind := types[party]
			f[i].Private = kind == "user" || kind == "token" || kind == "admin"
		}
	}
	var s event.Secrets
	s.Open = event.OpenSecret(&openKey, f.Text("source"), f.Text("id"))
	binary.LittleEndian.PutUint64(s.Private[:], number*0x9e3779b97f4a7c15+1)
	body, _ := event.AppendRecord(nil, f, &s)
	r, err := event.DecodeRecord(body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
