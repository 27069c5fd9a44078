package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// visibleEdges is how many edges the changes of benchVisible are seen at.
const visibleEdges = 10

// lookEvery is how often each edge is asked: the times are no finer than that.
const lookEvery = 2 * time.Millisecond

// benchVisible changes records of a managed zone and asks ten edges of one process,
// each over a DNS connection, until all of them answer with the new one: from the
// API's 2xx on.
func benchVisible(ctx context.Context, s settings) (string, error) {
	var rows []string
	for _, signed := range []bool{false, true} {
		times, err := visibleTimes(ctx, s, signed, 40*s.rounds)
		if err != nil {
			return "", err
		}
		slices.Sort(times)
		at := func(q float64) float64 {
			return float64(times[min(int(q*float64(len(times))), len(times)-1)].Microseconds()) / 1000
		}
		name := "unsigned"
		if signed {
			name = "signed"
		}
		rows = append(rows, fmt.Sprintf("| %s | %d | %.0f ms | %.0f ms | %.0f ms |", name, len(times), at(.5), at(.99), at(1)))
	}
	return fmt.Sprintf("# A changed record at %d edges\n\nOne process on one core (`up`), a zone of 1,000 records; from the API's answer to the last edge's, asked every %s.\n\n"+
		"| zone | changes | median | 99th percentile | most |\n|---|---:|---:|---:|---:|\n%s\n", visibleEdges, lookEvery, strings.Join(rows, "\n")), nil
}

func visibleTimes(ctx context.Context, s settings, signed bool, changes int) ([]time.Duration, error) {
	dir, err := os.MkdirTemp("", "visible")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	regions := make([]string, visibleEdges)
	for i := range regions {
		regions[i] = fmt.Sprintf("r%d", i)
	}
	p, err := startProduct(ctx, s, filepath.Join(dir, "data"), "--regions", strings.Join(regions, ","), "--resolvers", "127.0.0.1:1")
	if err != nil {
		return nil, err
	}
	defer p.stop()
	const domain = "/domains/example.com"
	if err := p.call(ctx, "POST", domain+"/zone", map[string]any{}, nil); err != nil {
		return nil, err
	}
	type record struct {
		Name   string   `json:"name"`
		Type   string   `json:"type"`
		TTL    int      `json:"ttl"`
		Values []string `json:"values"`
	}
	var edit struct {
		Records []record `json:"records"`
	}
	for i := range 1000 {
		edit.Records = append(edit.Records, record{fmt.Sprintf("n%d", i), "A", 60, []string{fmt.Sprintf("10.1.%d.%d", i/256, i%256)}})
	}
	if err := p.call(ctx, "POST", domain+"/records/edit", edit, nil); err != nil {
		return nil, err
	}
	if signed {
		if err := p.call(ctx, "PUT", domain+"/dnssec", map[string]any{"enabled": true}, nil); err != nil {
			return nil, err
		}
	}
	var edges []*dns.Conn
	for _, e := range p.ready.Edges {
		c, err := dns.DialTimeout("tcp", e.DNS, 5*time.Second)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		edges = append(edges, c)
	}
	if len(edges) != visibleEdges {
		return nil, fmt.Errorf("%d edges are ready, not %d", len(edges), visibleEdges)
	}
	var times []time.Duration
	for i := range changes + 5 {
		name := fmt.Sprintf("n%d", i%1000)
		want := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		change := map[string]any{"records": []record{{name, "A", 60, []string{want.String()}}}}
		if err := p.call(ctx, "POST", domain+"/records/edit", change, nil); err != nil {
			return nil, err
		}
		accepted := time.Now()
		seen := make(chan error, len(edges))
		for _, c := range edges {
			go func() { seen <- waitFor(ctx, c, name+".example.com.", want, signed) }()
		}
		for range edges {
			if err := <-seen; err != nil {
				return nil, err
			}
		}
		if i >= 5 { // the first are of the zone's making
			times = append(times, time.Since(accepted))
		}
	}
	return times, nil
}

// waitFor asks one edge until it answers a name with an address.
func waitFor(ctx context.Context, c *dns.Conn, name string, want netip.Addr, signed bool) error {
	pace := time.NewTicker(lookEvery)
	defer pace.Stop()
	for begin := time.Now(); time.Since(begin) < time.Minute; {
		q := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, signed)
		if err := c.WriteMsg(q); err != nil {
			return err
		}
		m, err := c.ReadMsg()
		if err != nil {
			return err
		}
		got, proved := false, !signed
		for _, rr := range m.Answer {
			switch a := rr.(type) {
			case *dns.A:
				got = got || a.A.String() == want.String()
			case *dns.RRSIG:
				proved = true
			}
		}
		if got && proved {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pace.C:
		}
	}
	return fmt.Errorf("%s has not become %s within a minute", name, want)
}
