package keeper

import (
	"time"

	"github.com/custody-log/custody/event"
	"github.com/custody-log/custody/internal/query"
	"github.com/custody-log/custody/internal/retain"
)

// maxPersonBytes bounds the type of a person.
const maxPersonBytes = 64

// checkPerson refuses somebody whom no event can be about.
func checkPerson(p retain.Person) error {
	switch {
	case p.Type == "" || p.ID == "" && p.Name == "":
		return &retain.InvalidError{Reason: "a person needs a type, such as user, and an ID or a name"}
	case len(p.Type) > maxPersonBytes || len(p.ID) > event.MaxTextBytes || len(p.Name) > event.MaxTextBytes:
		return &retain.InvalidError{Reason: "no event holds a type, an ID or a name as long as that"}
	}
	return nil
}

// about returns a query that finds every event in which p stands. It may find
// others, too: [retain.PersonalFields] decides.
func about(p retain.Person) *query.Query {
	if p.Type != "user" {
		return new(query.Query) // subjects of other types are not all found by who they are
	}
	var any query.Or
	for _, value := range []string{p.ID, p.Name} {
		if value == "" {
			continue
		}
		term, err := query.NewTerm(query.User, value, time.Now())
		if err != nil {
			return new(query.Query) // no query can ask for it: look at everything
		}
		any = append(any, term)
	}
	if len(any) == 1 {
		return &query.Query{Root: any[0]}
	}
	return &query.Query{Root: any}
}
