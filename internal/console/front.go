package console

import (
	"encoding/base64"
)

// A frontPage is what templates/front.html shows.
type frontPage struct {
	Keys       []string
	Records    int64
	Signed     int64  // records that the public checkpoint covers
	Behind     int64  // records that it does not cover yet
	Root       string // base64; empty before the first checkpoint
	Checkpoint string // the signed text
	Address    string // of this log, as the visitor reached it
	Questions  []question
}

// A question is one that the log answers, with the address of the answer.
// There is none if something has to be filled in first.
type question struct{ Text, Query, Address string }

// front shows what this log is, and how far it has come.
func (c *Console) front(v *visit) (any, error) {
	signed := c.Tree.Checkpoint()
	p := &frontPage{
		Keys:       c.Keys().Verifiers(),
		Records:    int64(c.Journal.Size()),
		Signed:     signed.N,
		Checkpoint: string(signed.Message),
		Address:    c.addressOf(v.Request),
		Questions:  c.questions(v),
	}
	p.Behind = max(0, p.Records-p.Signed)
	if signed.Message != nil {
		p.Root = base64.StdEncoding.EncodeToString(signed.Hash[:])
	}
	return p, nil
}

// questions returns three of those that this visitor may well have.
func (c *Console) questions(v *visit) []question {
	if !v.Staff() {
		return []question{
			{Text: "Who published each version of a package?", Query: "project:NAME tag:project:release:*"},
			{Text: "When did the maintainers of a package change?", Query: "project:NAME tag:project:role:*"},
			{Text: "What happened to a package in the last week?", Query: "project:NAME after:-7d"},
		}
	}
	list := []question{
		{Text: "What deserved attention?", Query: "severity:high OR severity:critical"},
		{Text: "Whose second factors and e-mail addresses were changed?", Query: "tag:user:mfa:* OR tag:user:email:*"},
		{Text: "Which tokens were made, and when were they first used?", Query: "tag:user:token:create OR tag:user:token:first_use"},
	}
	for i := range list {
		list[i].Address = queryURL(list[i].Query)
	}
	return list
}
