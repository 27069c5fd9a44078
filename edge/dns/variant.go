package dns

import (
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Place is where a client is, as far as it is known.
type Place struct {
	Country   string // ISO 3166-1 alpha-2, upper case; "" unknown
	Continent string // two letters
	Region    string // of the nearest edge
	// Bits is the length of the prefix of the address for which the place is the
	// same; the scope of an answer to a client-subnet option (RFC 7871 section 7.2.1).
	Bits int
}

// Locator tells where an address is. It is called while a query is answered: it
// must neither block nor allocate.
type Locator interface {
	Locate(netip.Addr) Place
}

// Checks tells whether what a variant depends on lives. Alive is called while a
// query is answered: it must neither block nor allocate.
type Checks interface {
	Alive(check string) bool
}

// variant is a compiled edgeconfig.Variant.
type variant struct {
	record     record
	countries  []string
	continents []string
	regions    []string
	check      string
	order      int
	weight     int
}

func newVariant(v *edgeconfig.Variant, r record) variant {
	return variant{record: r, countries: v.Countries, continents: v.Continents, regions: v.Regions, check: v.Check, order: v.Order, weight: max(v.Weight, 1)}
}

// closeness is how closely a variant matches a place: 0 not, 1 anywhere, up to
// 4 the region.
func (v *variant) closeness(p *Place) int {
	switch {
	case p.Region != "" && slices.Contains(v.regions, p.Region):
		return 4
	case p.Country != "" && slices.Contains(v.countries, p.Country):
		return 3
	case p.Continent != "" && slices.Contains(v.continents, p.Continent):
		return 2
	case len(v.regions) == 0 && len(v.countries) == 0 && len(v.continents) == 0:
		return 1
	}
	return 0
}

// choose picks the variant for a place, which are in order; nil when none
// matches. When no check passes, the checks are left aside.
func choose(variants []variant, p *Place, checks Checks) *variant {
	best := 0
	for i := range variants {
		best = max(best, variants[i].closeness(p))
	}
	if best == 0 {
		return nil
	}
	for _, strict := range []bool{true, false} {
		total, order, found := 0, 0, false
		usable := func(v *variant) bool {
			return v.closeness(p) == best && (!strict || v.check == "" || checks == nil || checks.Alive(v.check))
		}
		var chosen *variant
		for i := range variants {
			v := &variants[i]
			if found && v.order != order {
				break
			}
			if !usable(v) {
				continue
			}
			found, order = true, v.order
			// Each takes the place of the one before with its share of the weight so far.
			if total += v.weight; chosen == nil || rand.IntN(total) < v.weight {
				chosen = v
			}
		}
		if chosen != nil {
			return chosen
		}
	}
	return nil
}
