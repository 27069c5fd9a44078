package balance

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

type transport struct {
	spec   Spec
	closed int
}

func (t *transport) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("away") }
func (t *transport) CloseIdleConnections()                           { t.closed++ }

type fixture struct {
	registry *Registry
	made     []*transport
	at       time.Time
}

func newFixture() *fixture {
	f := &fixture{at: time.Unix(1_700_000_000, 0)}
	f.registry = NewRegistry(func(s Spec) Transport {
		t := &transport{spec: s}
		f.made = append(f.made, t)
		return t
	}, func() time.Time { return f.at })
	return f
}

func config(urls ...string) *edgeconfig.Pool {
	p := &edgeconfig.Pool{ID: "pool_1", ConnectTimeoutMS: 1000}
	for i, u := range urls {
		p.Origins = append(p.Origins, edgeconfig.Origin{ID: string(rune('a' + i)), URL: u})
	}
	return p
}

func (f *fixture) acquire(t *testing.T, c *edgeconfig.Pool) *Pool {
	t.Helper()
	p, err := f.registry.Acquire(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOriginsOutliveConfigurations(t *testing.T) {
	f := newFixture()
	first := f.acquire(t, config("http://a.example", "https://b.example:8443"))
	for _, o := range first.Origins {
		_, _ = o.RoundTrip(nil)
	}
	for range Threshold {
		first.Origins[0].Failed()
	}
	c := config("http://a.example", "https://c.example")
	c.IdleTimeoutMS = 5000
	second := f.acquire(t, c)
	first.Release()

	if second.Origins[0] != first.Origins[0] || !second.Origins[0].Ejected() {
		t.Error("an origin whose connections did not change must keep connections and ejection")
	}
	if second.Origins[1] == first.Origins[1] || f.made[1].closed != 1 || f.made[0].closed != 0 {
		t.Error("an origin with another URL is another origin; the old one's idle connections are closed")
	}
	if got := second.Origins[1].Spec; got.Address != "c.example:443" || got.ServerName != "c.example" || got.ConnectTimeout != time.Second {
		t.Errorf("spec %+v", got)
	}
	second.Release()
	if f.registry.Len() != 0 || len(f.registry.turns) != 0 {
		t.Error("released pools must leave nothing behind")
	}
}

func TestAcquireRefuses(t *testing.T) {
	f := newFixture()
	for _, c := range []*edgeconfig.Pool{config(), config("ftp://a"), config("http://"), config("http://a", "::"), {ID: "p", Origins: []edgeconfig.Origin{{URL: "https://a", RootCAPEM: "x"}}}} {
		if _, err := f.registry.Acquire(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v, want invalid", c, err)
		}
	}
	if f.registry.Len() != 0 {
		t.Error("a refused pool must leave nothing behind")
	}
}

func TestRotation(t *testing.T) {
	f := newFixture()
	p := f.acquire(t, config("http://a", "http://b", "http://c"))
	count := map[string]int{}
	for range 30 {
		count[p.Pick(nil).ID]++
	}
	if count["a"] != 10 || count["b"] != 10 || count["c"] != 10 {
		t.Errorf("thirty requests went %v", count)
	}
	var tried []*Origin
	for range 3 {
		tried = append(tried, p.Pick(tried))
	}
	if tried[0] == tried[1] || tried[1] == tried[2] || tried[0] == tried[2] || p.Pick(tried) != nil {
		t.Error("each origin must be tried once")
	}
}

func TestEjection(t *testing.T) {
	f := newFixture()
	p := f.acquire(t, config("http://a", "http://b"))
	a, b := p.Origins[0], p.Origins[1]
	fail := func(o *Origin, n int) {
		for range n {
			o.Failed()
		}
	}
	fail(a, Threshold-1)
	a.Succeeded()
	fail(a, Threshold-1)
	if a.Ejected() {
		t.Error("failures with a success between them must not eject")
	}
	fail(a, 1)
	for range 10 {
		if p.Pick(nil) != b {
			t.Fatal("an ejected origin was picked")
		}
	}
	if p.Pick([]*Origin{b}) != a {
		t.Error("when nothing else is left the ejected one must be tried")
	}
	fail(b, Threshold)
	first := p.Pick(nil)
	if p.Pick(nil) == first {
		t.Error("a pool whose origins all look dead must fail open, in rotation")
	}

	f.at = f.at.Add(firstEjection)
	if a.Ejected() {
		t.Error("the first ejection must end after ten seconds")
	}
	if !a.Failed() {
		t.Error("one failure after an ejection must eject again")
	}
	f.at = f.at.Add(firstEjection)
	if !a.Ejected() {
		t.Error("the second ejection must be longer")
	}
	f.at = f.at.Add(time.Hour)
	for range 20 {
		f.at = f.at.Add(time.Hour)
		a.Failed()
	}
	f.at = f.at.Add(longEjection)
	if a.Ejected() {
		t.Error("an ejection must not grow beyond its bound")
	}
	a.Succeeded()
	fail(a, Threshold)
	f.at = f.at.Add(firstEjection)
	if a.Ejected() {
		t.Error("after a success ejections start short again")
	}
}

func TestOnlyOriginIsAlwaysPicked(t *testing.T) {
	f := newFixture()
	p := f.acquire(t, config("http://a"))
	for range 10 {
		p.Origins[0].Failed()
	}
	if p.Pick(nil) == nil {
		t.Error("the only origin of a pool must never be left out")
	}
}

func TestConcurrentUse(t *testing.T) {
	f := newFixture()
	p := f.acquire(t, config("http://a", "http://b"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				o := p.Pick(nil)
				if i%2 == 0 {
					o.Failed()
				} else {
					o.Succeeded()
				}
				q, err := f.registry.Acquire(config("http://a", "http://c"))
				if err != nil {
					t.Error(err)
					return
				}
				q.Release()
			}
		})
	}
	wg.Wait()
	if got := f.registry.Len(); got != 2 {
		t.Errorf("%d origins in the registry, want those of the pool in force", got)
	}
}
