package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/edge/dns"
	"github.com/edgewright/edgewright/edge/dns/geo"
	"github.com/edgewright/edgewright/edgeconfig"
)

// serveDNS is the command serve-dns: the edge's name server as the edge runs it,
// with one zone from a file.
func serveDNS(args []string) error {
	flags := flag.NewFlagSet("serve-dns", flag.ContinueOnError)
	addr := flags.String("addr", "", "address")
	file := flags.String("zone", "", "zone.json")
	countries := flags.String("geo-db", "", "database of countries")
	if err := flags.Parse(args); err != nil {
		return err
	}
	raw, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	var c zoneContent
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	s, err := ownServer(*addr, *countries)
	if err != nil {
		return err
	}
	docs, err := c.documents(1)
	if err != nil {
		return err
	}
	if err := applyAll(s, docs); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := s.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Shutdown(context.WithoutCancel(ctx))
}

// ownServer has everything on: steering by country where there is a database, a
// limit that counts every answer (and that one
// client on loopback does not reach), cookies, counters that are collected.
func ownServer(addr, countries string) (*dns.Server, error) {
	o := dns.Options{Addr: addr, Workers: 1, RRL: dns.RRL{Rate: 1 << 19}, NSID: "bench"}
	if countries != "" {
		db, err := geo.Open(countries)
		if err != nil {
			return nil, err
		}
		o.Locator = db
	}
	s, err := dns.New(o)
	if err != nil {
		return nil, err
	}
	return s, prometheus.NewRegistry().Register(s.Collector())
}

func applyAll(s *dns.Server, docs []edgeconfig.Document) error {
	for _, item := range s.Apply(docs) {
		if item.State != edgeconfig.Applied {
			return fmt.Errorf("%s: %s", item.Key, item.Reason)
		}
	}
	return nil
}
