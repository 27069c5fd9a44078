package compile

import (
	"cmp"
	"slices"

	"github.com/edgewright/edgewright/edgeconfig"
)

// places are where well-known region codes are, to a tenth of a degree: airport
// codes, as most networks name their places, and the codes of the large clouds.
var places = []edgeconfig.Region{
	// Airports.
	{Name: "akl", Latitude: -37.0, Longitude: 174.8},
	{Name: "ams", Latitude: 52.3, Longitude: 4.8},
	{Name: "arn", Latitude: 59.7, Longitude: 17.9},
	{Name: "ath", Latitude: 37.9, Longitude: 23.9},
	{Name: "atl", Latitude: 33.6, Longitude: -84.4},
	{Name: "bcn", Latitude: 41.3, Longitude: 2.1},
	{Name: "bkk", Latitude: 13.7, Longitude: 100.7},
	{Name: "bog", Latitude: 4.7, Longitude: -74.1},
	{Name: "bom", Latitude: 19.1, Longitude: 72.9},
	{Name: "bos", Latitude: 42.4, Longitude: -71.0},
	{Name: "bru", Latitude: 50.9, Longitude: 4.5},
	{Name: "bud", Latitude: 47.4, Longitude: 19.3},
	{Name: "cai", Latitude: 30.1, Longitude: 31.4},
	{Name: "cdg", Latitude: 49.0, Longitude: 2.5},
	{Name: "cgk", Latitude: -6.1, Longitude: 106.7},
	{Name: "cph", Latitude: 55.6, Longitude: 12.7},
	{Name: "cpt", Latitude: -34.0, Longitude: 18.6},
	{Name: "del", Latitude: 28.6, Longitude: 77.1},
	{Name: "den", Latitude: 39.9, Longitude: -104.7},
	{Name: "dfw", Latitude: 32.9, Longitude: -97.0},
	{Name: "dub", Latitude: 53.4, Longitude: -6.3},
	{Name: "dus", Latitude: 51.3, Longitude: 6.8},
	{Name: "dxb", Latitude: 25.3, Longitude: 55.4},
	{Name: "ewr", Latitude: 40.7, Longitude: -74.2},
	{Name: "eze", Latitude: -34.8, Longitude: -58.5},
	{Name: "fra", Latitude: 50.0, Longitude: 8.6},
	{Name: "gru", Latitude: -23.4, Longitude: -46.5},
	{Name: "ham", Latitude: 53.6, Longitude: 10.0},
	{Name: "hel", Latitude: 60.3, Longitude: 25.0},
	{Name: "hkg", Latitude: 22.3, Longitude: 113.9},
	{Name: "iad", Latitude: 38.9, Longitude: -77.5},
	{Name: "icn", Latitude: 37.5, Longitude: 126.5},
	{Name: "ist", Latitude: 41.3, Longitude: 28.7},
	{Name: "jfk", Latitude: 40.6, Longitude: -73.8},
	{Name: "jnb", Latitude: -26.1, Longitude: 28.2},
	{Name: "lax", Latitude: 33.9, Longitude: -118.4},
	{Name: "lhr", Latitude: 51.5, Longitude: -0.5},
	{Name: "lim", Latitude: -12.0, Longitude: -77.1},
	{Name: "lis", Latitude: 38.8, Longitude: -9.1},
	{Name: "los", Latitude: 6.6, Longitude: 3.3},
	{Name: "maa", Latitude: 13.0, Longitude: 80.2},
	{Name: "mad", Latitude: 40.5, Longitude: -3.6},
	{Name: "man", Latitude: 53.4, Longitude: -2.3},
	{Name: "mel", Latitude: -37.7, Longitude: 144.8},
	{Name: "mex", Latitude: 19.4, Longitude: -99.1},
	{Name: "mia", Latitude: 25.8, Longitude: -80.3},
	{Name: "mnl", Latitude: 14.5, Longitude: 121.0},
	{Name: "mrs", Latitude: 43.4, Longitude: 5.2},
	{Name: "muc", Latitude: 48.4, Longitude: 11.8},
	{Name: "mxp", Latitude: 45.6, Longitude: 8.7},
	{Name: "nbo", Latitude: -1.3, Longitude: 36.9},
	{Name: "nrt", Latitude: 35.8, Longitude: 140.4},
	{Name: "ord", Latitude: 42.0, Longitude: -87.9},
	{Name: "osl", Latitude: 60.2, Longitude: 11.1},
	{Name: "otp", Latitude: 44.6, Longitude: 26.1},
	{Name: "per", Latitude: -31.9, Longitude: 116.0},
	{Name: "phx", Latitude: 33.4, Longitude: -112.0},
	{Name: "prg", Latitude: 50.1, Longitude: 14.3},
	{Name: "scl", Latitude: -33.4, Longitude: -70.8},
	{Name: "sea", Latitude: 47.4, Longitude: -122.3},
	{Name: "sfo", Latitude: 37.6, Longitude: -122.4},
	{Name: "sin", Latitude: 1.4, Longitude: 104.0},
	{Name: "sjc", Latitude: 37.4, Longitude: -121.9},
	{Name: "sof", Latitude: 42.7, Longitude: 23.4},
	{Name: "syd", Latitude: -33.9, Longitude: 151.2},
	{Name: "tlv", Latitude: 32.0, Longitude: 34.9},
	{Name: "tpe", Latitude: 25.1, Longitude: 121.2},
	{Name: "txl", Latitude: 52.6, Longitude: 13.3},
	{Name: "vie", Latitude: 48.1, Longitude: 16.6},
	{Name: "waw", Latitude: 52.2, Longitude: 21.0},
	{Name: "yul", Latitude: 45.5, Longitude: -73.7},
	{Name: "yvr", Latitude: 49.2, Longitude: -123.2},
	{Name: "yyz", Latitude: 43.7, Longitude: -79.6},
	{Name: "zrh", Latitude: 47.5, Longitude: 8.5},
	// Regions of clouds, where their operators say that they are.
	{Name: "us-east-1", Latitude: 38.9, Longitude: -77.5},
	{Name: "us-east-2", Latitude: 40.0, Longitude: -83.0},
	{Name: "us-west-1", Latitude: 37.4, Longitude: -121.9},
	{Name: "us-west-2", Latitude: 45.8, Longitude: -119.7},
	{Name: "ca-central-1", Latitude: 45.5, Longitude: -73.6},
	{Name: "sa-east-1", Latitude: -23.5, Longitude: -46.6},
	{Name: "eu-west-1", Latitude: 53.3, Longitude: -6.3},
	{Name: "eu-west-2", Latitude: 51.5, Longitude: -0.1},
	{Name: "eu-west-3", Latitude: 48.9, Longitude: 2.4},
	{Name: "eu-central-1", Latitude: 50.1, Longitude: 8.7},
	{Name: "eu-north-1", Latitude: 59.3, Longitude: 18.1},
	{Name: "eu-south-1", Latitude: 45.5, Longitude: 9.2},
	{Name: "ap-south-1", Latitude: 19.1, Longitude: 72.9},
	{Name: "ap-southeast-1", Latitude: 1.4, Longitude: 103.8},
	{Name: "ap-southeast-2", Latitude: -33.9, Longitude: 151.2},
	{Name: "ap-northeast-1", Latitude: 35.7, Longitude: 139.7},
	{Name: "ap-northeast-2", Latitude: 37.6, Longitude: 127.0},
	{Name: "ap-east-1", Latitude: 22.3, Longitude: 114.2},
	{Name: "af-south-1", Latitude: -33.9, Longitude: 18.4},
	{Name: "me-south-1", Latitude: 26.2, Longitude: 50.6},
}

// Regions are the well-known places and those that the operator has named, whose
// word goes first, in order of name.
func Regions(own []edgeconfig.Region) []edgeconfig.Region {
	list := slices.Clone(own)
	for _, p := range places {
		if !slices.ContainsFunc(own, func(o edgeconfig.Region) bool { return o.Name == p.Name }) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b edgeconfig.Region) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
