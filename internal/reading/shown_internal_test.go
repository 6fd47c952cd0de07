package reading

import (
	"encoding/json"
	"testing"

	"github.com/custody-log/custody/catalogue"
	"github.com/custody-log/custody/event"
)

// A Shown as encoding/json writes it. The order of members is that of the API.
type plainShown struct {
	Seq        int64                   `json:"seq"`
	ID         string                  `json:"id,omitempty"`
	Tag        string                  `json:"tag"`
	Time       string                  `json:"time"`
	Actor      map[string]string       `json:"actor,omitempty"`
	Text       string                  `json:"text"`
	Class      string                  `json:"class"`
	Severity   string                  `json:"severity"`
	Commitment []byte                  `json:"commitment"`
	Erased     []string                `json:"erased,omitempty"`
	Masked     []string                `json:"masked,omitempty"`
	Partial    catalogue.ConditionKind `json:"partial,omitempty"`
	Country    string                  `json:"country,omitempty"`
	Client     string                  `json:"client,omitempty"`
}

// A name of a field is chosen by who sends the event, and stands in the list of what
// is masked: one that ends its string early would say what is not so. What is not
// shown leaves no empty member behind.
func TestShownIsWhatEncodingJSONWrites(t *testing.T) {
	const at = "2026-11-02T12:30:00Z"
	odd := "metadata.\"],\"country\":\"XX\u2028\\<&>\xff\x00"
	tag, when := event.StringField("tag", "user:login"), event.TimeField("time", benchStart)
	actor, id := event.StringField("actor.name", odd), event.StringField("id", odd)
	for name, x := range map[string]struct {
		e    Shown
		want plainShown
	}{
		"little": {
			Shown{Fields: event.Fields{tag, when}},
			plainShown{Tag: "user:login", Time: at},
		},
		"all": {
			Shown{
				Seq: 7, Fields: event.Fields{actor, id, tag, when}, Text: odd, Class: odd, Severity: odd, Masked: []string{odd, "b"}, Erased: []string{odd},
				Partial: catalogue.Notice, Country: "NL", Client: odd, Commitment: event.Commitment{1, 2},
			},
			plainShown{
				Seq: 7, ID: odd, Tag: "user:login", Time: at, Actor: map[string]string{"name": odd}, Text: odd, Class: odd, Severity: odd,
				Masked: []string{odd, "b"}, Erased: []string{odd}, Partial: catalogue.Notice, Country: "NL", Client: odd,
			},
		},
		"only masked": {
			Shown{Fields: event.Fields{id, tag, when}, Masked: []string{"actor.name"}},
			plainShown{ID: odd, Tag: "user:login", Time: at, Masked: []string{"actor.name"}},
		},
	} {
		x.want.Commitment = x.e.Commitment[:]
		want, err := json.Marshal(&x.want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := x.e.AppendJSON([]byte("before")); err != nil || string(got) != "before"+string(want) {
			t.Errorf("%s: AppendJSON = %s, %v, want %s", name, got, err, want)
		}
	}
}
