package reconcile

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// mindful is a reconciler that things were left to.
type mindful struct {
	fake
	asked int
}

func (m *mindful) Remains(context.Context) ([]Ref, error) {
	if m.asked++; m.asked == 1 {
		return nil, errors.New("the database is away")
	}
	return []Ref{{"thing", "gone"}, {"thing", "there"}}, nil
}

// What may have left something is looked at without an event, also when it could
// not be told at first, and once.
func TestRemainsAreLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mindful{fake: fake{act: func(Ref) (time.Duration, error) { return 0, nil }}}
		send, stop := start(t, m, 4)
		defer stop()
		send <- event("live")
		synctest.Wait()
		if got := m.seen(); !slices.Equal(got, []string{"live"}) {
			t.Errorf("while it cannot be told: %v", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		got := m.seen()
		slices.Sort(got)
		if !slices.Equal(got, []string{"gone", "live", "there"}) || m.asked != 2 {
			t.Errorf("asked %d times, looked at %v", m.asked, got)
		}
	})
}
