package cli

import (
	"math"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// ZoneOptions are about the zones that this platform is the authority of.
type ZoneOptions struct {
	RegionLocations []string `name:"region-locations" env:"EDGEWRIGHT_REGION_LOCATIONS" placeholder:"REGION=LATITUDE/LONGITUDE" help:"Where regions are, in degrees, for those that are not named for an airport or a cloud's region, or to say otherwise. Example: fra=50.1/8.7."`
	NameServers     []string `name:"name-servers" env:"EDGEWRIGHT_NAME_SERVERS" placeholder:"NAME" help:"Names that lead to the edges' DNS, given out in pairs to projects for their zones; at least two. Default: names in each zone itself."`
}

func (o *ZoneOptions) check() error {
	if len(o.NameServers) == 1 {
		return fault.New(fault.Invalid, "--name-servers: a zone has two name servers; give at least two names")
	}
	for i, n := range o.NameServers {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		if !strings.Contains(n, ".") || strings.ContainsAny(n, " /:*@") {
			return fault.New(fault.Invalid, "--name-servers: %q is no name of a host; write it like ns1.example.net", o.NameServers[i])
		}
		o.NameServers[i] = n
	}
	_, err := o.Locations()
	return err
}

// RegionLocation is where a region is, in degrees.
type RegionLocation struct {
	Name                string
	Latitude, Longitude float64
}

// Locations reads RegionLocations. Errors: Invalid.
func (o *ZoneOptions) Locations() ([]RegionLocation, error) {
	var list []RegionLocation
	for _, text := range o.RegionLocations {
		name, where, _ := strings.Cut(text, "=")
		north, east, _ := strings.Cut(where, "/")
		latitude, err := strconv.ParseFloat(north, 64)
		longitude, err2 := strconv.ParseFloat(east, 64)
		if err != nil || err2 != nil || name == "" || !(math.Abs(latitude) <= 90 && math.Abs(longitude) <= 180) {
			return nil, fault.New(fault.Invalid, "--region-locations: %q is no place; write it like fra=50.1/8.7, degrees of latitude and longitude", text)
		}
		list = append(list, RegionLocation{name, latitude, longitude})
	}
	return list, nil
}
