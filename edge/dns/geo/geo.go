// Package geo tells where an address is, from a database of countries in the
// MaxMind DB format.
//
// The database is read once, into sorted tables: a look-up is a search of some
// twenty steps in memory of our own, which neither blocks nor allocates.
//
//	file -> Open -> networks -> country
//	SetRegions -> country -> the edge regions in order of distance
//	Locate: address -> network -> country, continent, nearest region
//
// Continents are the country's. Distance is that of great circles between a
// point in the middle of the country and the region's coordinates: good enough
// to choose between regions, not within a large country.
//
// Databases that fit: ip-location-db's geo-whois-asn-country and iptoasn-country
// (public domain; their records name country_code), and any with records
// like those of GeoLite2 (country.iso_code), whose licence asks for more.
package geo

import (
	"cmp"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/edgewright/edgewright/edge/dns"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// DB is a database of countries. It implements dns.Locator.
type DB struct {
	v4     table
	v6     table
	codes  []string // by number; 0 is unknown
	places atomic.Pointer[[]dns.Place]
}

// table is disjoint networks in order. An IPv6 network is known by the upper
// half of its address: no longer one is anyone's.
type table struct {
	starts  []uint64
	bits    []uint8
	country []uint16
}

// Open reads a database. The error is fault.Unavailable when the file cannot be
// read, fault.Invalid when it is no database of countries.
func Open(file string) (*DB, error) {
	r, err := maxminddb.Open(file)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the database of countries cannot be read: %w", err)
	}
	defer func() { _ = r.Close() }()
	db := &DB{codes: []string{""}}
	numbers := map[string]uint16{}
	for network := range r.Networks() {
		code, err := countryOf(network)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the database of countries is damaged: %w", err)
		}
		if _, known := countries[code]; !known {
			continue // none, or "EU" and the like
		}
		n, known := numbers[code]
		if !known {
			n = uint16(len(db.codes))
			numbers[code], db.codes = n, append(db.codes, code)
		}
		p := network.Prefix().Masked()
		if a := p.Addr(); a.Is4() {
			db.v4.add(uint64(binary.BigEndian.Uint32(a.AsSlice())), p.Bits(), n)
		} else if p.Bits() <= 64 {
			db.v6.add(binary.BigEndian.Uint64(a.AsSlice()), p.Bits(), n)
		}
	}
	if len(db.v4.starts)+len(db.v6.starts) == 0 {
		return nil, fault.New(fault.Invalid, "%s names no countries: give a database with country_code, or country.iso_code, in its records", file)
	}
	db.SetRegions(nil)
	return db, nil
}

func countryOf(r maxminddb.Result) (code string, err error) {
	if err = r.DecodePath(&code, "country", "iso_code"); err == nil && code == "" {
		err = r.DecodePath(&code, "country_code")
	}
	return code, err
}

func (t *table) add(start uint64, bits int, country uint16) {
	t.starts, t.bits, t.country = append(t.starts, start), append(t.bits, uint8(bits)), append(t.country, country)
}

// find returns the country and the length of the network's prefix, of an address
// of so many bits.
func (t *table) find(a uint64, length int) (country uint16, bits int, ok bool) {
	i, exact := slices.BinarySearch(t.starts, a)
	if !exact {
		i--
	}
	if i < 0 || a>>(length-int(t.bits[i])) != t.starts[i]>>(length-int(t.bits[i])) {
		return 0, 0, false
	}
	return t.country[i], int(t.bits[i]), true
}

// Len is the number of networks.
func (db *DB) Len() int { return len(db.v4.starts) + len(db.v6.starts) }

// Locate implements dns.Locator.
func (db *DB) Locate(a netip.Addr) dns.Place {
	a = a.Unmap()
	var n uint16
	bits, unknown, ok := 0, 24, false
	if a.Is4() {
		b := a.As4()
		n, bits, ok = db.v4.find(uint64(binary.BigEndian.Uint32(b[:])), 32)
	} else {
		b := a.As16()
		unknown = 56
		n, bits, ok = db.v6.find(binary.BigEndian.Uint64(b[:]), 64)
	}
	if !ok {
		return dns.Place{Bits: unknown}
	}
	p := (*db.places.Load())[n]
	p.Bits = bits
	return p
}

// SetRegions tells where the regions of edges are. Queries never wait for it.
func (db *DB) SetRegions(regions []edgeconfig.Region) {
	places := make([]dns.Place, len(db.codes))
	for n, code := range db.codes {
		if code == "" {
			continue
		}
		c := countries[code]
		near := slices.Clone(regions)
		slices.SortStableFunc(near, func(a, b edgeconfig.Region) int {
			return cmp.Compare(distance(c.lat, c.lon, a.Latitude, a.Longitude), distance(c.lat, c.lon, b.Latitude, b.Longitude))
		})
		places[n] = dns.Place{Country: code, Continent: c.continent}
		for _, r := range near {
			places[n].Near = append(places[n].Near, r.Name)
		}
		if len(near) > 0 {
			places[n].Region = near[0].Name
		}
	}
	db.places.Store(&places)
}

// distance is that of a great circle, in radians: haversine.
func distance(lat1, lon1, lat2, lon2 float64) float64 {
	const degree = math.Pi / 180
	dLat, dLon := (lat2-lat1)*degree, (lon2-lon1)*degree
	h := math.Pow(math.Sin(dLat/2), 2) + math.Cos(lat1*degree)*math.Cos(lat2*degree)*math.Pow(math.Sin(dLon/2), 2)
	return 2 * math.Asin(min(1, math.Sqrt(h)))
}
