package dnsproviders

import (
	"context"

	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
)

// Zone is a zone at a provider, as its driver lists it.
type Zone struct {
	dnsplan.Zone
	NameServers []string `json:"name_servers,omitempty"` // that the provider has given it
}

// Driver is what this room needs of a DNS provider. It may be called from any
// goroutine. All sets it returns are as dnsplan.RRset.Canonical makes them; what
// it cannot express so has Special set.
type Driver interface {
	// Zones lists the public zones that the credentials reach.
	Zones(ctx context.Context) ([]Zone, error)
	// Records lists the RRsets of a zone, all pages of them.
	Records(ctx context.Context, zone dnsplan.Zone) ([]dnsplan.RRset, error)
	// Apply makes the changes in order. One whose Before is not what the
	// provider holds fails with reason Moved. A ticket that is not empty is for
	// Settler. After an error some of the changes may be made, unless the driver
	// is a Batcher.
	Apply(ctx context.Context, zone dnsplan.Zone, changes []dnsplan.Change) (ticket string, err error)
}

// Batcher is the ability to make all changes of an Apply or none of them.
type Batcher interface {
	// MaxBatch is how many records (values of sets, before and after) one Apply
	// may concern.
	MaxBatch() int
}

// Settler is the ability to say when changes are at all of the provider's name
// servers.
type Settler interface {
	Settled(ctx context.Context, ticket string) (bool, error)
}

// Looker is the ability to read one name without reading the zone.
type Looker interface {
	RecordsAt(ctx context.Context, zone dnsplan.Zone, name string) ([]dnsplan.RRset, error)
}

// Limited is a driver that cannot store everything.
type Limited interface {
	Abilities() dnsplan.Abilities
}

// Credentials are what a provider is entered with, by the names of the driver's
// fields.
type Credentials map[string]string

// Field is one credential that a driver needs.
type Field struct {
	Name     string
	Help     string // what it is and where it is found
	Required bool
	Secret   bool
	// Check says what is wrong with a value and how to mend it; nil or "": nothing.
	Check func(value string) (detail, fix string)
}

// DriverType is one row of the table of drivers.
type DriverType struct {
	Name   string // "cloudflare"
	Title  string // "Cloudflare"
	Fields []Field
	// Open returns a driver. It asks nobody: wrong credentials show at first use.
	Open func(c Credentials) (Driver, error)
}
