package dns

import (
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Place is where a client is, as far as it is known.
type Place struct {
	Country   string   // ISO 3166-1 alpha-2, upper case; "" unknown
	Continent string   // two letters
	Region    string   // of the nearest edge
	Near      []string // all regions, nearest first
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

// Closeness of a variant to a place, in order.
const (
	nowhere   = iota
	far       // another region; the nearer, the better
	anywhere  // a variant for all
	continent // the client's
	country
	region // nearest to the client
)

func (v *variant) closeness(p *Place) int {
	switch {
	case p.Region != "" && slices.Contains(v.regions, p.Region):
		return region
	case p.Country != "" && slices.Contains(v.countries, p.Country):
		return country
	case p.Continent != "" && slices.Contains(v.continents, p.Continent):
		return continent
	case len(v.regions) == 0 && len(v.countries) == 0 && len(v.continents) == 0:
		return anywhere
	case len(v.regions) > 0 && len(p.Near) > 0:
		return far
	}
	return nowhere
}

// distance is the place of the nearest of a variant's regions among those of a
// client.
func (v *variant) distance(p *Place) int {
	for i, r := range p.Near {
		if slices.Contains(v.regions, r) {
			return i
		}
	}
	return len(p.Near)
}

// choose picks the variant for a place, which are in order; nil when none
// matches. Where nothing lives that matches as closely, what matches less closely
// is taken; when nothing lives at all, the checks are left aside.
func choose(variants []variant, p *Place, checks Checks) *variant {
	for _, strict := range []bool{true, false} {
		for level := region; level > nowhere; level-- {
			if v := chooseAt(variants, p, checks, level, strict); v != nil {
				return v
			}
		}
	}
	return nil
}

// chooseAt picks among the variants of one closeness: those of the lowest order
// (of the nearest regions, where they are far), by weight.
func chooseAt(variants []variant, p *Place, checks Checks, level int, strict bool) (chosen *variant) {
	total, best := 0, 0
	for i := range variants {
		v := &variants[i]
		if v.closeness(p) != level || strict && v.check != "" && checks != nil && !checks.Alive(v.check) {
			continue
		}
		rank := v.order
		if level == far {
			rank = v.distance(p)
		}
		switch {
		case chosen != nil && rank > best:
			continue
		case chosen == nil || rank < best:
			chosen, best, total = v, rank, v.weight
			continue
		}
		// Each takes the place of the one before with its share of the weight so far.
		if total += v.weight; rand.IntN(total) < v.weight {
			chosen = v
		}
	}
	return chosen
}
