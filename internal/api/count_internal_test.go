package api

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Counts use all cores and hold a number for each value: too many at once would
// take the machine from those who submit. So each waits for its turn, but not
// longer than it may take.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &API{counts: make(chan struct{}, 1)}
		first, err := a.turn(t.Context(), time.Nanosecond)
		if err != nil {
			t.Fatalf("the first = %v", err)
		}
		began := time.Now()
		_, err = a.turn(t.Context(), 3*time.Second)
		if p, ok := errors.AsType[*problem](err); !ok || p.slug() != "busy" || p.Limit != countLimit || time.Since(began) != 3*time.Second {
			t.Errorf("the second = %v after %v, want busy after 3s", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.turn(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("one who has gone = %v", err)
		}
		time.AfterFunc(time.Second, first)
		began = time.Now()
		if _, err := a.turn(t.Context(), 3*time.Second); err != nil || time.Since(began) != time.Second {
			t.Errorf("one after the first has ended = %v after %v, want its turn after 1s", err, time.Since(began))
		}
	})
}
