package certificates_test

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/reconcile"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// memory is a store and vault for the simulation, which is about times and not
// about disks.
type memory struct {
	resource.Store
	seq     int64
	objects map[string]resource.Resource
	secrets map[string][]byte
}

func (m *memory) Get(_ context.Context, _ resource.Kind, id string) (resource.Resource, error) {
	r, ok := m.objects[id]
	if !ok {
		return r, fault.New(fault.NotFound, "gone")
	}
	return r, nil
}

func (m *memory) PutStatus(_ context.Context, _ resource.Kind, id string, status json.RawMessage, ifSeq int64) (resource.Resource, error) {
	r := m.objects[id]
	if ifSeq != 0 && r.Seq != ifSeq {
		return r, fault.New(fault.Stale, "stale")
	}
	m.seq++
	r.Status, r.Seq = status, m.seq
	m.objects[id] = r
	return r, nil
}

func (m *memory) PutSecret(_ context.Context, name string, secret []byte) error {
	m.secrets[name] = secret
	return nil
}

func (m *memory) Secret(_ context.Context, name string) ([]byte, error) {
	secret, ok := m.secrets[name]
	if !ok {
		return nil, fault.New(fault.NotFound, "none")
	}
	return secret, nil
}

func (m *memory) DeleteSecret(_ context.Context, name string) error {
	delete(m.secrets, name)
	return nil
}

// outage is a time in which the CA does not answer.
type outage struct{ from, to time.Time }

// yearCA signs for a year, with trouble.
type yearCA struct {
	y      *year
	name   string
	ari    bool
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	orders []time.Time
	taken  map[string]time.Time // when a window was moved for a serial
}

// year is the world of the simulation.
type year struct {
	now     time.Time
	random  *mathrand.Rand
	outages []outage
	life    map[string]time.Duration // by certificate ID
	limited int
	failed  int
}

func (y *year) away() bool {
	return slices.ContainsFunc(y.outages, func(o outage) bool { return !y.now.Before(o.from) && y.now.Before(o.to) })
}

// reachable is how long the CA was there between two times.
func (y *year) reachable(from, to time.Time) time.Duration {
	total := to.Sub(from)
	for _, o := range y.outages {
		if begin, end := maxTime(from, o.from), minTime(to, o.to); end.After(begin) {
			total -= end.Sub(begin)
		}
	}
	return total
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (y *year) Verified(context.Context, string, string, string) (bool, error) { return true, nil }

func newYearCA(t *testing.T, y *year, name string, ari bool) *yearCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: y.now.Add(-day), NotAfter: y.now.Add(800 * day), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &yearCA{y: y, name: name, ari: ari, cert: cert, key: key, taken: map[string]time.Time{}}
}

func (c *yearCA) Issue(_ context.Context, o certificates.Order) (string, error) {
	if c.y.away() {
		return "", away
	}
	c.orders = append(c.orders, c.y.now)
	switch roll := c.y.random.Float64(); {
	case roll < 0.005:
		c.y.limited++
		return "", &certificates.IssueError{RetryAfter: 2 * time.Hour, Problem: limited.Problem}
	case roll < 0.01:
		c.y.failed++
		return "", unseen
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(c.y.random.Int64()), NotBefore: c.y.now, NotAfter: c.y.now.Add(c.y.life[o.ID]), DNSNames: o.Names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, o.Key.Public(), c.key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), err
}

// RenewalWindow is around two thirds; of one in a thousand looks, in the past,
// as when the CA has to revoke.
func (c *yearCA) RenewalWindow(_ context.Context, leaf *x509.Certificate) (certificates.Window, time.Duration, bool, error) {
	if !c.ari {
		return certificates.Window{}, 0, false, nil
	}
	if c.y.away() {
		return certificates.Window{}, 0, false, fmt.Errorf("away")
	}
	if c.y.random.IntN(1000) == 0 {
		c.taken[leaf.SerialNumber.String()] = c.y.now
	}
	if at, moved := c.taken[leaf.SerialNumber.String()]; moved {
		return certificates.Window{Start: at.Add(-2 * time.Hour), End: at.Add(-time.Hour)}, 24 * time.Hour, true, nil
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return certificates.Window{Start: leaf.NotBefore.Add(life * 64 / 100), End: leaf.NotBefore.Add(life * 66 / 100)}, 24 * time.Hour, true, nil
}

// queue is what is looked at when.
type due struct {
	at time.Time
	id string
}

type queue []due

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(due)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

var yearScale = flag.Int("year", 1, "how many times 220 certificates live through TestYear")

// A year of certificates of 90, 47 and 6 days, at two CAs, with
// outages of hours and days, rate limits, names that fail and revocations: none
// expires while its CA could be reached, and no hour has more orders than the
// budget.
func TestYear(t *testing.T) {
	budget := 10 * *yearScale // orders an hour and CA
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	y := &year{now: start, random: mathrand.New(mathrand.NewPCG(1, 2)), life: map[string]time.Duration{}}
	for _, hours := range []int{1, 2, 3, 6, 6, 12, 24, 30, 30, 36, 90} {
		from := start.Add(time.Duration(5+y.random.IntN(340)) * day).Add(time.Duration(y.random.IntN(24)) * time.Hour)
		y.outages = append(y.outages, outage{from, from.Add(time.Duration(hours) * time.Hour)})
	}
	m := &memory{objects: map[string]resource.Resource{}, secrets: map[string][]byte{}}
	svc := certificates.New(certificates.Options{Store: m, Vault: m, Ownership: y, Now: func() time.Time { return y.now }})
	plain, advised := newYearCA(t, y, "plain", false), newYearCA(t, y, "advised", true)
	limits := []authority.Limit{{Kind: authority.SpentOrders, Max: budget, Window: time.Hour}, {Kind: authority.SpentFailures, Max: 4, Window: time.Hour}, {Kind: authority.SpentDuplicate, Max: 4, Window: 7 * day}}
	rec := certificates.NewReconciler(svc, map[certificates.CertType]certificates.Issuer{certificates.TypeACME: cas{list: []certificates.Authority{
		{Name: "plain", Issuer: plain, Limits: limits}, {Name: "advised", Issuer: advised, Limits: limits},
	}}}, nil)

	q := &queue{}
	kinds := []struct {
		life  time.Duration
		n     int
		ca    string
		count int // certificates issued
	}{
		{90 * day, 90 * *yearScale, "plain", 0}, {90 * day, 10 * *yearScale, "advised", 0}, {47 * day, 90 * *yearScale, "plain", 0}, {47 * day, 10 * *yearScale, "advised", 0},
		{6 * day, 15 * *yearScale, "plain", 0}, {6 * day, 5 * *yearScale, "advised", 0},
	}
	kindOf := map[string]int{}
	for k, kind := range kinds {
		for i := range kind.n {
			id := fmt.Sprintf("crt_%d_%04d", k, i)
			name := fmt.Sprintf("www.site-%d-%d.example", k, i)
			spec, err := json.Marshal(certificates.Spec{Domains: []string{name}, Type: certificates.TypeACME, AutoRenew: true, KeyType: pki.KeyP256, Authority: kind.ca})
			if err != nil {
				t.Fatal(err)
			}
			m.objects[id] = resource.Resource{Meta: resource.Meta{Kind: certificates.Kind, ID: id, Project: project, Environment: env, Name: name, Revision: 1, Seq: 1}, Spec: spec}
			y.life[id], kindOf[id] = kind.life, k
			heap.Push(q, due{start, id})
		}
	}
	expired, unexcused, looks := 0, 0, 0
	seen := map[string]*time.Time{} // the end that was last known of each
	for q.Len() > 0 {
		next := heap.Pop(q).(due)
		if next.at.After(start.Add(365 * day)) {
			break
		}
		y.now = next.at
		looks++
		again, err := rec.Reconcile(t.Context(), reconcile.Ref{Kind: certificates.Kind, ID: next.id})
		if err != nil {
			t.Fatal(err)
		}
		c, err := certificates.Decode(m.objects[next.id])
		if err != nil {
			t.Fatal(err)
		}
		st := c.Status
		if st.NotAfter != nil && (seen[next.id] == nil || !seen[next.id].Equal(*st.NotAfter)) {
			if before := seen[next.id]; before != nil && y.now.After(*before) {
				expired++
				// Excused only when the CA was hardly there in the last third.
				window := before.Add(-y.life[next.id] / 3)
				if there := y.reachable(window, *before); there > 4*time.Hour {
					unexcused++
					t.Errorf("%s expired at %v although its CA was there for %v of the last third", next.id, before, there)
				}
			}
			seen[next.id] = st.NotAfter
			kinds[kindOf[next.id]].count++
		}
		heap.Push(q, due{y.now.Add(skipIdle(again, st, y.now)), next.id})
	}
	for id, end := range seen {
		if end.Before(start.Add(365*day)) && y.reachable(end.Add(-y.life[id]/3), *end) > 4*time.Hour {
			t.Errorf("%s is expired at the end of the year", id)
		}
	}
	if len(seen) != len(m.objects) {
		t.Errorf("%d of %d certificates were ever issued", len(seen), len(m.objects))
	}
	for _, ca := range []*yearCA{plain, advised} {
		if most := busiest(ca.orders, time.Hour); most > budget {
			t.Errorf("%s: %d orders within an hour, the budget is %d", ca.name, most, budget)
		}
		t.Logf("%s: %d orders, at most %d within an hour\n%s", ca.name, len(ca.orders), busiest(ca.orders, time.Hour), histogram(ca.orders))
	}
	for _, k := range kinds {
		t.Logf("%d certificates of %v at %s: issued %d times, %.1f each", k.n, k.life, k.ca, k.count, float64(k.count)/float64(k.n))
	}
	t.Logf("%d looks; %d rate limits, %d failed names, %d windows moved; %d expired during outages, %d otherwise", looks, y.limited, y.failed, len(advised.taken), expired, unexcused)
	if y.limited == 0 || y.failed == 0 || len(advised.taken) == 0 {
		t.Error("the year was too quiet: something was never tried")
	}
}

// skipIdle leaves out looks at which nothing can be due, of which the loop makes
// many.
func skipIdle(again time.Duration, st certificates.Status, now time.Time) time.Duration {
	if again < 12*time.Hour {
		return again
	}
	next := now.Add(60 * day)
	for _, at := range []*time.Time{st.RenewAt, st.NextAttempt, st.NotAfter} {
		if at != nil && at.After(now) {
			next = minTime(next, *at)
		}
	}
	if st.AdviceAt != nil && st.Authority == "advised" {
		next = minTime(next, maxTime(*st.AdviceAt, now.Add(time.Second)))
	}
	return next.Sub(now)
}

// busiest counts the most orders within any window of a length.
func busiest(orders []time.Time, window time.Duration) int {
	most, from := 0, 0
	for i, at := range orders {
		for !orders[from].After(at.Add(-window)) {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// histogram tells in how many hours there were how many orders.
func histogram(orders []time.Time) string {
	hours := map[int64]int{}
	for _, at := range orders {
		hours[at.Unix()/3600]++
	}
	bounds := []int{0, 1, 2, 5, 10, 20, 50, 75, 100, 1 << 30}
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
