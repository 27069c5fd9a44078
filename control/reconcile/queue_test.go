package reconcile

import (
	"testing"
	"testing/synctest"
	"time"
)

// A timer may fire at the moment at which the lease is lost and the queue is
// closed. It must not wind itself up again: what is due then stays due for ever,
// and a control plane that no longer leads would do nothing but that.
func TestClosedQueueComesToRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		ref := Ref{"thing", "thing_1"}
		q.add(ref)
		if got, ok := q.next(); !ok || got != ref {
			t.Fatalf("next is %v, %v", got, ok)
		}
		q.done(ref, time.Minute)
		q.close()
		time.Sleep(time.Hour)
		q.due() // as the timer does that had fired and waited for the lock
		if q.timer.Stop() {
			t.Error("it is wound up again")
		}
	})
}
