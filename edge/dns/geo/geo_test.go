package geo

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/edgewright/edgewright/edge/dns"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// database writes a file in which networks have countries, in either form of
// record.
func database(t *testing.T, plain bool, networks map[string]string) string {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "test", RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, code := range networks {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		record := mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
		if plain {
			record = mmdbtype.Map{"country_code": mmdbtype.String(code)}
		}
		if err := w.Insert(n, record); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "countries.mmdb")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	return file
}

var networks = map[string]string{
	"192.0.2.0/24": "DE", "198.51.100.0/25": "US", "198.51.100.128/25": "JP", "203.0.113.0/24": "EU", "2001:db8::/32": "BR", "2001:db9::/48": "FR",
}

func TestLocate(t *testing.T) {
	for _, plain := range []bool{false, true} {
		db, err := Open(database(t, plain, networks))
		if err != nil {
			t.Fatal(err)
		}
		db.SetRegions([]edgeconfig.Region{{Name: "iad", Latitude: 39, Longitude: -77}, {Name: "fra", Latitude: 50, Longitude: 9}, {Name: "sin", Latitude: 1, Longitude: 104}})
		for address, want := range map[string]dns.Place{
			"192.0.2.77":         {Country: "DE", Continent: "EU", Region: "fra", Near: []string{"fra", "iad", "sin"}, Bits: 24},
			"::ffff:192.0.2.77":  {Country: "DE", Continent: "EU", Region: "fra", Near: []string{"fra", "iad", "sin"}, Bits: 24},
			"198.51.100.1":       {Country: "US", Continent: "NA", Region: "iad", Near: []string{"iad", "fra", "sin"}, Bits: 25},
			"198.51.100.200":     {Country: "JP", Continent: "AS", Region: "sin", Near: []string{"sin", "fra", "iad"}, Bits: 25},
			"2001:db8:1:2:3::4":  {Country: "BR", Continent: "SA", Region: "iad", Near: []string{"iad", "fra", "sin"}, Bits: 32},
			"2001:db9:0:ffff::1": {Country: "FR", Continent: "EU", Region: "fra", Near: []string{"fra", "iad", "sin"}, Bits: 48},
			"203.0.113.1":        {Bits: 24}, // not a country
			"192.0.3.0":          {Bits: 24},
			"1.1.1.1":            {Bits: 24},
			"255.255.255.255":    {Bits: 24},
			"::1":                {Bits: 56},
			"2001:db9:1::1":      {Bits: 56},
		} {
			got := db.Locate(netip.MustParseAddr(address))
			if got.Country != want.Country || got.Continent != want.Continent || got.Region != want.Region || got.Bits != want.Bits || !slices.Equal(got.Near, want.Near) {
				t.Errorf("%s is at %+v, want %+v", address, got, want)
			}
		}
		db.SetRegions(nil)
		if got := db.Locate(netip.MustParseAddr("192.0.2.1")); got.Country != "DE" || got.Region != "" {
			t.Errorf("without regions: %+v", got)
		}
		a := netip.MustParseAddr("198.51.100.200")
		if n := testing.AllocsPerRun(100, func() { db.Locate(a) }); n > 0 {
			t.Errorf("a look-up allocates %v times", n)
		}
	}
}

func TestOpen(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "absent")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an absent file: %v", err)
	}
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(junk); !fault.Is(err, fault.Unavailable) {
		t.Errorf("junk: %v", err)
	}
	if _, err := Open(database(t, true, map[string]string{"192.0.2.0/24": "EU"})); !fault.Is(err, fault.Invalid) {
		t.Errorf("a database without countries: %v", err)
	}
}

func TestCountries(t *testing.T) {
	continents := []string{"AF", "AN", "AS", "EU", "NA", "OC", "SA"}
	if len(countries) != 250 { // the 249 of ISO 3166-1, and Kosovo
		t.Errorf("%d countries", len(countries))
	}
	for code, c := range countries {
		if len(code) != 2 || !slices.Contains(continents, c.continent) || c.lat < -90 || c.lat > 90 || c.lon < -180 || c.lon > 180 || c.lat == 0 && c.lon == 0 {
			t.Errorf("%s: %+v", code, c)
		}
	}
}
