package main

import (
	"context"

	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/control/zones/secondary"
	"github.com/edgewright/edgewright/control/zones/transfer"
	"github.com/edgewright/edgewright/control/zones/tsig"
	"github.com/edgewright/edgewright/edgeconfig"
)

// tsigRoom keeps the keys of zone transfers.
func (p *plane) tsigRoom(room *zones.Service) *tsig.Service {
	return tsig.New(tsig.Options{Store: p.db, Vault: p.db, Users: room})
}

// secondaries takes zones over from their primaries.
func (p *plane) secondaries(room *zones.Service, keys *tsig.Service) *secondary.Reconciler {
	return secondary.New(secondary.Options{
		Zones: room, Copies: p.db, Keys: keys, Fetcher: &transfer.Client{Dial: p.options.origins.DialContext}, Logger: p.options.log,
	})
}

// noticed takes in what primaries say to edges.
func noticed(room *zones.Service) func(context.Context, edgeconfig.Notice) error {
	return func(ctx context.Context, n edgeconfig.Notice) error {
		return room.Noticed(ctx, n.Zone, n.Serial, n.Known)
	}
}
