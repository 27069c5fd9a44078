package upkeep_test

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/certificates/provision"
	"github.com/edgewright/edgewright/control/certificates/simtest"
	"github.com/edgewright/edgewright/control/certificates/upkeep"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
)

var yearOf = flag.Int("year", 22, "how many certificates live through TestYear; the issue's figure is 5000")

// What the CA says in its trouble.
var (
	away    = &certificates.IssueError{Away: true, Problem: certificates.Problem{Reason: "CAUnreachable", Message: "away", Fix: "wait"}}
	unseen  = &certificates.IssueError{Invalid: true, Problem: certificates.Problem{Reason: "WrongAnswer", Message: "no", Fix: "mend it", Subject: "shop.example.com"}}
	limited = &certificates.IssueError{RetryAfter: 5 * time.Hour, Problem: certificates.Problem{Reason: certificates.ReasonRateLimited, Message: "limit", Fix: "wait"}}
)

// outage is a time in which the CA does not answer.
type outage struct{ from, to time.Time }

// year is the world of the simulation: what goes wrong in it, and what is known
// of each certificate.
type year struct {
	t       *testing.T
	outages []outage
	life    map[string]time.Duration // by certificate ID

	mu                                            sync.Mutex
	random                                        *mathrand.Rand
	ends                                          map[string]time.Time // of the certificate in use, by ID
	issued                                        map[string]int
	taken                                         map[string]time.Time // when a window was moved for a serial
	revoked                                       map[string]time.Time // by serial
	limited, refused, late, excused, told, looked int
}

func (y *year) roll() float64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.random.Float64()
}

func (y *year) away() bool {
	now := time.Now()
	return slices.ContainsFunc(y.outages, func(o outage) bool { return !now.Before(o.from) && now.Before(o.to) })
}

// reachable is how long the CA was there between two times.
func (y *year) reachable(from, to time.Time) time.Duration {
	total := to.Sub(from)
	for _, o := range y.outages {
		begin, end := from, to
		if o.from.After(begin) {
			begin = o.from
		}
		if o.to.Before(end) {
			end = o.to
		}
		if end.After(begin) {
			total -= end.Sub(begin)
		}
	}
	return total
}

// excuse says whether a certificate could not be renewed before its end: its CA
// was hardly there in the last third of its life.
func (y *year) excuse(id string, end time.Time) bool {
	return y.reachable(end.Add(-y.life[id]/3), end) <= 4*time.Hour
}

// CertificateEvent implements certificates.Observer: each new certificate has to
// come before the end of the one before it.
func (y *year) CertificateEvent(_ context.Context, c certificates.Certificate, e certificates.Event) {
	y.mu.Lock()
	defer y.mu.Unlock()
	switch e.Kind {
	case certificates.EventIssued, certificates.EventRecovered:
		before, had := y.ends[c.ID]
		y.ends[c.ID] = *c.Status.NotAfter
		y.issued[c.ID]++
		if had && time.Now().After(before) {
			if y.late++; y.excuse(c.ID, before) {
				y.excused++
			} else {
				y.t.Errorf("%s expired at %v and was issued at %v, although its CA was there for %v of the last third", c.ID, before, time.Now(), y.reachable(before.Add(-y.life[c.ID]/3), before))
			}
		}
	case certificates.EventRevoked:
		y.told++
	}
}

// Standing implements certificates.Revocation.
func (y *year) Standing(_ context.Context, leaf, _ *x509.Certificate) (certificates.Standing, error) {
	if y.away() {
		return certificates.Standing{}, away
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.looked++
	s := certificates.Standing{AskAt: time.Now().Add(24 * time.Hour)}
	if y.random.IntN(800) == 0 {
		s.Revoked = &certificates.Revoked{At: time.Now(), Reason: "key_compromise", Source: "crl"}
		y.revoked[pki.SerialOf(leaf)] = time.Now()
	}
	return s, nil
}

// yearCA is a CA with trouble. With ari it says when to renew.
type yearCA struct {
	*simtest.CA
	y *year
}

type advisingCA struct{ yearCA }

func newYearCA(t *testing.T, y *year, name string) yearCA {
	ca := yearCA{simtest.NewCA(t, name, time.Now), y}
	ca.Life = func(o certificates.Order) time.Duration { return y.life[o.ID] }
	ca.Refuse = func(certificates.Order) error {
		if y.away() {
			return away
		}
		switch roll := y.roll(); {
		case roll < 0.02:
			ca.Count()
			y.mu.Lock()
			y.limited++
			y.mu.Unlock()
			return &certificates.IssueError{RetryAfter: 2 * time.Hour, Problem: limited.Problem}
		case roll < 0.04:
			ca.Count()
			y.mu.Lock()
			y.refused++
			y.mu.Unlock()
			return unseen
		}
		return nil
	}
	return ca
}

// Issue takes its time, so that orders overlap and outages cut them off.
func (c yearCA) Issue(ctx context.Context, o certificates.Order) (string, error) {
	chain, err := c.CA.Issue(ctx, o)
	time.Sleep(time.Duration(1+c.y.roll()*20) * time.Second)
	if err == nil && c.y.away() {
		return "", away
	}
	return chain, err
}

// RenewalWindow is around two thirds; of one in a hundred looks, in the past,
// as when the CA has to revoke.
func (c advisingCA) RenewalWindow(_ context.Context, leaf *x509.Certificate) (certificates.Window, time.Duration, bool, error) {
	if c.y.away() {
		return certificates.Window{}, 0, false, away
	}
	c.y.mu.Lock()
	defer c.y.mu.Unlock()
	serial := pki.SerialOf(leaf)
	if c.y.random.IntN(100) == 0 {
		c.y.taken[serial] = time.Now()
	}
	if at, moved := c.y.taken[serial]; moved {
		return certificates.Window{Start: at.Add(-2 * time.Hour), End: at.Add(-time.Hour)}, 24 * time.Hour, true, nil
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return certificates.Window{Start: leaf.NotBefore.Add(life * 64 / 100), End: leaf.NotBefore.Add(life * 66 / 100)}, 24 * time.Hour, true, nil
}

// A year of certificates of 90, 47 and 6 days at two CAs, lived by the real loop
// and its workers in a bubble of time, with outages of hours and days, rate
// limits, names that fail, revocations, and a restart each month: none expires
// while its CA could be reached, and no hour has more orders than the budget.
func TestYear(t *testing.T) {
	synctest.Test(t, liveAYear)
}

func liveAYear(t *testing.T) {
	start := time.Now()
	budget := max(*yearOf/22, 5) // orders an hour and CA
	y := &year{
		t: t, random: mathrand.New(mathrand.NewPCG(1, 2)), life: map[string]time.Duration{}, ends: map[string]time.Time{}, issued: map[string]int{},
		taken: map[string]time.Time{}, revoked: map[string]time.Time{},
	}
	for _, hours := range []int{1, 2, 3, 6, 6, 12, 24, 30, 30, 36, 90} {
		from := start.Add(time.Duration(5+y.random.IntN(340)) * day).Add(time.Duration(y.random.IntN(24)) * time.Hour)
		y.outages = append(y.outages, outage{from, from.Add(time.Duration(hours) * time.Hour)})
	}
	db := simtest.NewStore()
	svc := provision.New(certificates.Room{Store: db, Vault: db, Ownership: simtest.Owner{}, Revocation: y, Observer: y})
	plain, advised := newYearCA(t, y, "plain"), advisingCA{newYearCA(t, y, "advised")}
	limits := []authority.Limit{{Kind: authority.SpentOrders, Max: budget, Window: time.Hour}, {Kind: authority.SpentFailures, Max: 4, Window: time.Hour}, {Kind: authority.SpentDuplicate, Max: 4, Window: 7 * day}}
	both := &simtest.CAs{List: []certificates.Authority{{Name: "plain", Issuer: plain, Limits: limits}, {Name: "advised", Issuer: advised, Limits: limits}}}

	kinds := []struct {
		life   time.Duration
		share  int // of 22
		ca     string
		n, got int
	}{
		{90 * day, 9, "plain", 0, 0},
		{90 * day, 1, "advised", 0, 0},
		{47 * day, 9, "plain", 0, 0},
		{47 * day, 1, "advised", 0, 0},
		{6 * day, 1, "plain", 0, 0},
		{6 * day, 1, "advised", 0, 0},
	}
	kindOf := map[string]int{}
	for k := range kinds {
		kinds[k].n = max(*yearOf*kinds[k].share/22, 1)
		for i := range kinds[k].n {
			id, name := fmt.Sprintf("crt_%d_%04d", k, i), fmt.Sprintf("www.site-%d-%d.example", k, i)
			spec, err := json.Marshal(certificates.Spec{Domains: []string{name}, Type: certificates.TypeACME, AutoRenew: true, KeyType: pki.KeyP256, Authority: kinds[k].ca})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Commit(t.Context(), resource.Commit{Changes: []resource.Change{{Op: resource.Create, Kind: certificates.Kind, ID: id, Project: project, Environment: env, Name: name, Spec: spec}}}); err != nil {
				t.Fatal(err)
			}
			y.life[id], kindOf[id] = kinds[k].life, k
		}
	}

	for range 12 {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			rec := upkeep.NewReconciler(svc.Room, svc.Judge, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: both}, nil)
			ended <- reconcile.New(reconcile.Options{Store: db}, rec).Run(ctx)
		}()
		time.Sleep(365 * day / 12)
		stop()
		<-ended
	}

	y.mu.Lock()
	defer y.mu.Unlock()
	for id := range kindOf {
		end, ever := y.ends[id]
		switch {
		case !ever:
			t.Errorf("%s was never issued", id)
		case end.Before(time.Now()) && !y.excuse(id, end):
			t.Errorf("%s is expired at the end of the year", id)
		}
		kinds[kindOf[id]].got += y.issued[id]
	}
	for name, ca := range map[string]*simtest.CA{"plain": plain.CA, "advised": advised.CA} {
		orders := ca.Orders()
		if most := simtest.Busiest(orders, time.Hour); most > budget {
			t.Errorf("%s: %d orders within an hour, the budget is %d", name, most, budget)
		}
		t.Logf("%s: %d orders, at most %d within an hour, of %d\n%s", name, len(orders), simtest.Busiest(orders, time.Hour), budget, histogram(orders))
	}
	for _, k := range kinds {
		t.Logf("%d certificates of %d days at %s: issued %d times, %.1f each", k.n, k.life/day, k.ca, k.got, float64(k.got)/float64(k.n))
	}
	t.Logf("%d rate limits, %d refused names, %d windows moved, %d revocations; %d came late, %d of them because of an outage", y.limited, y.refused, len(y.taken), len(y.revoked), y.late, y.excused)
	t.Logf("asked of the store: %d reads, %d writes, %d secrets", db.Gets, db.Puts, db.Secrets)
	if y.limited == 0 || y.refused == 0 || len(y.taken) == 0 || len(y.revoked) == 0 || y.told == 0 {
		t.Error("the year was too quiet: something was never tried")
	}
}

// histogram tells in how many hours there were how many orders.
func histogram(orders []time.Time) string {
	hours := map[int64]int{}
	for _, at := range orders {
		hours[at.Unix()/3600]++
	}
	bounds := []int{0, 1, 2, 5, 10, 20, 50, 75, 100, 150, 200, 250, 1 << 30}
	counts := make([]int, len(bounds))
	counts[0] = 365*24 - len(hours)
	for _, n := range hours {
		i, _ := slices.BinarySearchFunc(bounds, n, cmp.Compare[int])
		counts[i]++
	}
	var b strings.Builder
	for i, n := range counts {
		if n > 0 {
			label := fmt.Sprintf("to %d", bounds[i])
			if i == 0 {
				label = "none"
			}
			fmt.Fprintf(&b, "  %-7s orders in the hour: %5d hours %s\n", label, n, strings.Repeat("#", min(n/100+1, 60)))
		}
	}
	return b.String()
}
