package dns

import "testing"

func TestChoose(t *testing.T) {
	berlin := Place{Country: "DE", Continent: "EU", Region: "fra", Near: []string{"fra", "iad", "sin"}}
	variants := func(list ...variant) []variant {
		for i := range list {
			list[i].weight = 1
		}
		return list
	}
	fra, iad, sin := variant{regions: []string{"fra"}, check: "fra"}, variant{regions: []string{"iad"}, check: "iad"}, variant{regions: []string{"sin"}, check: "sin"}
	germany, europe, all := variant{countries: []string{"DE"}, check: "germany"}, variant{continents: []string{"EU"}, check: "europe"}, variant{check: "all"}
	for name, c := range map[string]struct {
		variants []variant
		place    Place
		dead     deaths
		want     string // the check of the chosen, "-" none
	}{
		"the closest":                        {variants(all, europe, germany, fra), berlin, nil, "fra"},
		"the country":                        {variants(all, europe, germany), berlin, nil, "germany"},
		"the continent":                      {variants(all, europe), berlin, nil, "europe"},
		"anyone":                             {variants(all), berlin, nil, "all"},
		"an unknown place":                   {variants(all, europe, germany, fra), Place{}, nil, "all"},
		"nothing for an unknown place":       {variants(europe, germany, fra), Place{}, nil, "-"},
		"a country dead":                     {variants(all, europe, germany), berlin, deaths{"germany": true}, "europe"},
		"two levels dead":                    {variants(all, europe, germany), berlin, deaths{"germany": true, "europe": true}, "all"},
		"all dead":                           {variants(all, europe, germany), berlin, deaths{"germany": true, "europe": true, "all": true}, "germany"},
		"by distance":                        {variants(sin, iad), berlin, nil, "iad"},
		"by distance, the nearest dead":      {variants(sin, iad, fra), berlin, deaths{"fra": true}, "iad"},
		"by distance, two dead":              {variants(sin, iad, fra), berlin, deaths{"fra": true, "iad": true}, "sin"},
		"by distance, all dead":              {variants(sin, iad, fra), berlin, deaths{"fra": true, "iad": true, "sin": true}, "fra"},
		"anyone before another region":       {variants(sin, all), berlin, nil, "all"},
		"another region when anyone is dead": {variants(sin, all), berlin, deaths{"all": true}, "sin"},
		"order":                              {variants(variant{order: 2, check: "c"}, variant{order: 1, check: "b"}, variant{order: 0, check: "a"}), berlin, deaths{"a": true}, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			got := "-"
			if v := choose(c.variants, &c.place, c.dead); v != nil {
				got = v.check
			}
			if got != c.want {
				t.Errorf("chose %s, want %s", got, c.want)
			}
		})
	}
	// By weight, among those that live.
	heavy, light := variant{check: "heavy", weight: 30}, variant{check: "light", weight: 10}
	counts := map[string]int{}
	for range 4000 {
		counts[choose([]variant{heavy, light, {check: "dead", weight: 1000}}, &berlin, deaths{"dead": true}).check]++
	}
	if counts["heavy"] < 2700 || counts["heavy"] > 3300 || counts["light"] != 4000-counts["heavy"] {
		t.Errorf("shares of 3 to 1: %v", counts)
	}
}
