package authority_test

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates/authority"
)

// Who is nearer to an end gets a place that others do not, mass replacements
// leave room for all, and nobody exceeds the limit.
func TestNearestEndGetsThePlace(t *testing.T) {
	for _, limit := range []int{5, 22, 227, 3000} {
		ledger, now := authority.NewMemoryLedger(), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		spent := 0
		fill := func(u authority.Urgency) int {
			t.Helper()
			for before := spent; ; spent++ {
				wants := authority.Wants([]authority.Limit{{Kind: authority.SpentOrders, Max: limit, Window: time.Hour}}, []string{"shop.example.com"}, false, u)
				free, err := ledger.Spend(t.Context(), authority.Spending{ID: "s", Authority: "ca", At: now, Wants: wants})
				if err != nil {
					t.Fatal(err)
				}
				if !free.IsZero() {
					return spent - before
				}
			}
		}
		planned, regular := fill(authority.Planned), fill(authority.Regular)
		if planned != limit*6/10 || planned+regular != limit*9/10 {
			t.Errorf("of %d: %d planned, %d regular", limit, planned, regular)
		}
		if n := fill(authority.Pressed(30 * 24 * time.Hour)); n > 1 {
			t.Errorf("of %d: %d that end in a month", limit, n)
		}
		last := 0
		for _, left := range []time.Duration{20 * time.Hour, 12 * time.Hour, 4 * time.Hour, -time.Hour} {
			last = fill(authority.Pressed(left))
			if limit >= 100 && last == 0 {
				t.Errorf("of %d: what ends in %v got no place beside what ends later", limit, left)
			}
		}
		if spent != limit || fill(authority.Pressing) != 0 {
			t.Errorf("%d orders of %d", spent, limit)
		}
	}
}
