package console

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/custody-log/custody/internal/reader"
	"github.com/custody-log/custody/internal/signin"
)

// However many strangers look for events, who is signed in does not wait for them;
// and who waits is told after a while.
func TestStrangersWaitForThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Console{looks: newPlaces(maxLooks, maxStrangerLooks)}
		var last func()
		for range maxStrangerLooks {
			done, err := c.turn(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			last = done
		}
		began := time.Now()
		if _, err := c.turn(t.Context(), false); !errors.Is(err, errBusy) || time.Since(began) != maxLookWait {
			t.Errorf("one stranger more: %v after %v, want to be told that it is busy", err, time.Since(began))
		}
		began = time.Now()
		if _, err := c.turn(t.Context(), true); err != nil || time.Since(began) != 0 {
			t.Errorf("somebody known: %v after %v, want no wait", err, time.Since(began))
		}
		last()
		if _, err := c.turn(t.Context(), false); err != nil {
			t.Errorf("after one was done: %v", err)
		}
	})
}

// Nobody whom nobody knows makes the log count for long.
func TestCountingTime(t *testing.T) {
	stranger := &visit{Reader: new(reader.Reader)}
	known := &visit{Reader: new(reader.Reader), Session: new(signin.Session)}
	for _, c := range []struct {
		who  *visit
		all  bool
		want time.Duration
	}{{stranger, false, countBudget}, {stranger, true, countBudget}, {known, false, countBudget}, {known, true, allBudget}} {
		if got := countTime(c.who, &view{All: c.all}); got != c.want {
			t.Errorf("known %v, all %v: %v, want %v", c.who.SignedIn(), c.all, got, c.want)
		}
	}
}
