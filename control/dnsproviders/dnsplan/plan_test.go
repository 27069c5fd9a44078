package dnsplan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/fault"
)

const us, them = "ins_1/dom_1", "ins_2/dom_9"

var zone = Zone{ID: "z1", Name: "example.com"}

func set(name, typ string, ttl int, values ...string) RRset {
	if name == "@" {
		name = zone.Name
	} else {
		name += "." + zone.Name
	}
	s, err := RRset{Name: name, Type: typ, TTL: ttl, Values: values}.Canonical()
	if err != nil {
		panic(err)
	}
	return s
}

func owned(owner string, sets ...RRset) []RRset {
	var all []RRset
	for _, s := range sets {
		all = append(all, s, marker(s.Key(), owner))
	}
	return all
}

func proxied(s RRset) RRset { s.Proxied = true; return s }

func special(s RRset) RRset { s.Special = "an alias"; return s }

// carryOut is a provider that has no faults.
func carryOut(t interface{ Fatalf(string, ...any) }, observed []RRset, changes []Change) []RRset {
	have := map[Key]RRset{}
	for _, s := range observed {
		have[s.Key()] = s
	}
	for _, c := range changes {
		s, exists := have[c.Key()]
		switch {
		case c.Before == nil && exists:
			t.Fatalf("%s exists already", c.Key())
		case c.Before != nil && (!exists || !s.Equal(*c.Before)):
			t.Fatalf("%s is not as the change says: %+v", c.Key(), s)
		case c.After == nil:
			delete(have, c.Key())
		default:
			have[c.Key()] = *c.After
		}
	}
	var all []RRset
	for _, k := range sortedKeys(have) {
		all = append(all, have[k])
	}
	return all
}

func flat(batches [][]Change) []Change { return slices.Concat(batches...) }

// summary is a plan in a few words: "+www A", "~", "-", "=" left, "!" blocked.
func summary(p Plan) string {
	var words []string
	short := func(name string) string {
		return strings.TrimSuffix(strings.TrimSuffix(name, zone.Name), ".")
	}
	signs := map[Op]string{Add: "+", Modify: "~", Remove: "-", Adopt: "^", Tidy: "t"}
	for _, s := range p.Steps {
		words = append(words, signs[s.Op]+short(s.Name)+" "+s.Type)
	}
	for _, l := range p.Left {
		words = append(words, "="+short(l.Name)+" "+l.Type)
	}
	for _, b := range p.Blocks {
		words = append(words, fmt.Sprintf("!%s %s %s", short(b.Name), b.Type, b.Reason))
	}
	for _, n := range p.Needs {
		words = append(words, "?"+n.Kind)
	}
	return strings.Join(words, ", ")
}

func TestPlan(t *testing.T) {
	a1, a2 := set("www", "A", 60, "192.0.2.1"), set("www", "A", 60, "192.0.2.2")
	cname := set("www", "CNAME", 60, "edge.example.net.")
	txt := set("www", "TXT", 60, `"note"`)
	others := []RRset{set("@", "MX", 300, "10 mail.example.com."), set("mail", "A", 300, "192.0.2.25"), set("a", "A", 1, "192.0.2.3"), set("b", "A", 1, "192.0.2.3")}
	cases := map[string]struct {
		desired, observed []RRset
		take              []Key
		abilities         Abilities
		issuers           []string
		want              string
	}{
		"added":                          {desired: []RRset{a1}, want: "+www A"},
		"right already":                  {desired: []RRset{a1}, observed: owned(us, a1), want: "=www A"},
		"changed":                        {desired: []RRset{a2}, observed: owned(us, a1), want: "~www A"},
		"value order is no change":       {desired: []RRset{set("www", "A", 60, "192.0.2.2", "192.0.2.1")}, observed: owned(us, set("www", "A", 60, "192.0.2.1", "192.0.2.2")), want: "=www A"},
		"removed":                        {desired: []RRset{set("x", "A", 1, "192.0.2.1")}, observed: append(owned(us, a1), others...), want: "-www A, +x A"},
		"removed, much of the zone":      {desired: []RRset{set("x", "A", 1, "192.0.2.1")}, observed: owned(us, a1), want: "-www A, +x A, ?removes_many"},
		"all that is ours":               {observed: append(owned(us, a1), others...), want: "-www A, ?removes_owned"},
		"the whole zone":                 {observed: owned(us, a1), want: "-www A, ?empties_zone, ?removes_many, ?removes_owned"},
		"the record is gone":             {observed: []RRset{marker(a1.Key(), us)}, want: "twww A"},
		"the record is gone, but wanted": {desired: []RRset{a1}, observed: []RRset{marker(a1.Key(), us)}, want: "+www A"},
		"somebody's":                     {desired: []RRset{a2}, observed: []RRset{a1}, want: "!www A exists"},
		"somebody's, right by chance":    {desired: []RRset{a1}, observed: []RRset{a1}, want: "=www A"},
		"somebody's, taken":              {desired: []RRset{a2}, observed: []RRset{a1}, take: []Key{{"www.example.com.", "a"}}, want: "^www A"},
		"another owner's":                {desired: []RRset{a2}, observed: owned(them, a1), want: "!www A owned_elsewhere"},
		"another owner's, taken":         {desired: []RRset{a2}, observed: owned(them, a1), take: []Key{a1.Key()}, want: "^www A"},
		"another owner's is not removed": {observed: owned(them, a1), want: ""},
		"no marker where one must be":    {desired: []RRset{a1}, observed: []RRset{{Name: MarkerKey(a1.Key()).Name, Type: "TXT", TTL: 60, Values: []string{`"hello"`}}}, want: "!www A marker_taken"},
		"two markers in one":             {observed: []RRset{a1, {Name: MarkerKey(a1.Key()).Name, Type: "TXT", TTL: 60, Values: []string{QuoteTXT(markerHeritage + us), QuoteTXT(markerHeritage + them)}}}, want: ""},
		"proxied":                        {desired: []RRset{a2}, observed: []RRset{proxied(a1)}, want: "!www A proxied"},
		"our proxy, turned on by hand":   {desired: []RRset{a1}, observed: owned(us, proxied(a1)), want: "~www A"},
		"an alias":                       {desired: []RRset{a1}, observed: []RRset{special(a1)}, take: []Key{a1.Key()}, want: "!www A special"},
		"an alias in place of ours":      {observed: append(owned(us, special(a1)), others...), want: "=www A"},
		"a CNAME is there":               {desired: []RRset{a1}, observed: []RRset{cname}, want: "!www A cname_blocks"},
		"a CNAME is there, taken":        {desired: []RRset{a1}, observed: []RRset{cname}, take: []Key{cname.Key()}, want: "+www A, -www CNAME"},
		"our CNAME becomes addresses":    {desired: []RRset{a1}, observed: owned(us, cname), want: "+www A, -www CNAME"},
		"our addresses become a CNAME":   {desired: []RRset{cname}, observed: owned(us, a1), want: "-www A, +www CNAME"},
		"a CNAME beside":                 {desired: []RRset{cname}, observed: append(owned(us, a1), txt), want: "=www A, !www CNAME cname_beside"},
		"apex CNAME":                     {desired: []RRset{set("@", "CNAME", 60, "edge.example.net.")}, want: "! CNAME apex_cname"},
		"apex CNAME, flattened":          {desired: []RRset{set("@", "CNAME", 60, "edge.example.net.")}, observed: []RRset{others[0]}, abilities: Abilities{ApexCNAME: true}, want: "+ CNAME"},
		"delegated":                      {desired: []RRset{set("a.b.sub", "A", 60, "192.0.2.1")}, observed: []RRset{set("sub", "NS", 60, "ns.example.net.")}, want: "!a.b.sub A delegated"},
		"wanted delegation":              {desired: []RRset{set("sub", "NS", 60, "ns.sub.example.com."), set("ns.sub", "A", 60, "192.0.2.1"), set("x.sub", "A", 60, "192.0.2.1")}, want: "+ns.sub A, +sub NS, !x.sub A delegated"},
		"below a DNAME":                  {desired: []RRset{set("a.sub", "A", 60, "192.0.2.1")}, observed: []RRset{set("sub", "DNAME", 60, "example.net.")}, want: "!a.sub A delegated"},
		"CAA of another":                 {desired: []RRset{a1}, observed: []RRset{set("@", "CAA", 60, `0 issue "ca.example"`)}, issuers: []string{"letsencrypt.org"}, want: "+www A, !www A caa"},
		"CAA that allows":                {desired: []RRset{a1}, observed: []RRset{set("@", "CAA", 60, `0 issue "letsencrypt.org; x=y"`)}, issuers: []string{"letsencrypt.org"}, want: "+www A"},
		"CAA for wildcards":              {desired: []RRset{set("*", "A", 60, "192.0.2.1")}, observed: []RRset{set("@", "CAA", 60, `0 issue "letsencrypt.org"`, `0 issuewild ";"`)}, issuers: []string{"letsencrypt.org"}, want: "+* A, !* A caa"},
		"CAA, nearer":                    {desired: []RRset{a1}, observed: []RRset{set("@", "CAA", 60, `0 issue "ca.example"`), set("www", "CAA", 60, `0 iodef "mailto:a@example.com"`)}, issuers: []string{"letsencrypt.org"}, want: "+www A"},
		"TTL below the provider's":       {desired: []RRset{set("www", "A", 5, "192.0.2.1")}, observed: owned(us, a1), abilities: Abilities{MinTTL: 60}, want: "=www A"},
		"type the provider lacks":        {desired: []RRset{a1}, abilities: Abilities{Types: []string{"TXT"}}, want: "!www A not_possible"},
		"unreadable foreign record":      {desired: []RRset{a1}, observed: []RRset{{Name: "odd.example.com", Type: "A", TTL: 1, Values: []string{"not an address"}}}, want: "+www A"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := Make(Request{Zone: zone, Owner: us, Desired: c.desired, Observed: c.observed, Take: c.take, Abilities: c.abilities, Issuers: c.issuers})
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(p); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			for _, b := range p.Blocks {
				if b.Message == "" || b.Fix == "" || b.Stops == "" {
					t.Errorf("a block says too little: %+v", b)
				}
			}
			again, err := Make(Request{Zone: zone, Owner: us, Desired: c.desired, Observed: carryOut(t, c.observed, flat(p.Batches())), Take: c.take, Abilities: c.abilities, Issuers: c.issuers})
			if err != nil || !again.Empty() {
				t.Errorf("the second plan does %s, %v", summary(again), err)
			}
		})
	}
}

// TestBadRequests: what can never be carried out is refused, with a pointer.
func TestBadRequests(t *testing.T) {
	cases := map[string]struct {
		set     RRset
		pointer string
	}{
		"outside of the zone":   {RRset{Name: "www.example.org", Type: "A", Values: []string{"192.0.2.1"}}, "/records/0/name"},
		"no name":               {RRset{Type: "A", Values: []string{"192.0.2.1"}}, "/records/0/name"},
		"no values":             {RRset{Name: "example.com", Type: "A"}, "/records/0/values"},
		"not an address":        {RRset{Name: "example.com", Type: "A", Values: []string{"192.0.2.1", "192.0.2.256"}}, "/records/0/values/1"},
		"two lines":             {RRset{Name: "example.com", Type: "A", Values: []string{"192.0.2.1\n$INCLUDE /etc/passwd"}}, "/records/0/values/0"},
		"open quote":            {RRset{Name: "example.com", Type: "TXT", Values: []string{`"abc`}}, "/records/0/values/0"},
		"negative TTL":          {RRset{Name: "example.com", Type: "A", TTL: -1, Values: []string{"192.0.2.1"}}, "/records/0/ttl"},
		"two targets":           {RRset{Name: "www.example.com", Type: "CNAME", Values: []string{"a.", "b."}}, "/records/0/values"},
		"unknown type":          {RRset{Name: "example.com", Type: "ALIAS", Values: []string{"a."}}, "/records/0/values/0"},
		"SOA":                   {RRset{Name: "example.com", Type: "SOA", Values: []string{"a. b. 1 2 3 4 5"}}, "/records/0/type"},
		"the zone's servers":    {RRset{Name: "example.com", Type: "NS", Values: []string{"ns.example.net."}}, "/records/0/type"},
		"a marker":              {RRset{Name: "_edgewright-a.example.com", Type: "TXT", Values: []string{"x"}}, "/records/0/name"},
		"proxy that is not":     {RRset{Name: "example.com", Type: "A", Values: []string{"192.0.2.1"}, Proxied: true}, "/records/0/proxied"},
		"too long for a marker": {RRset{Name: strings.Repeat("abcdefghi.", 24) + "example.com", Type: "A", Values: []string{"192.0.2.1"}}, "/records/0/name"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Make(Request{Zone: zone, Owner: us, Desired: []RRset{c.set}})
			var f *fault.Error
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("got %v", err)
			}
			f = err.(*fault.Error)
			if len(f.Fields) != 1 || f.Fields[0].Pointer != c.pointer || f.Fields[0].Detail == "" || f.Fields[0].Fix == "" {
				t.Fatalf("got %+v", f.Fields)
			}
		})
	}
	both := []RRset{{Name: "www.example.com", Type: "A", Values: []string{"192.0.2.1"}}, {Name: "www.example.com", Type: "CNAME", Values: []string{"a."}}}
	for _, desired := range [][]RRset{both, {both[1], both[0]}, {both[0], both[0]}} {
		if _, err := Make(Request{Zone: zone, Owner: us, Desired: desired}); !fault.Is(err, fault.Invalid) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := Make(Request{Zone: zone, Owner: "a b"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an owner with a space: %v", err)
	}
}

// TestResume: a plan that stopped half way goes on; one whose zone has changed
// is refused.
func TestResume(t *testing.T) {
	desired := []RRset{set("a", "A", 60, "192.0.2.1"), set("b", "CNAME", 60, "edge.example.net."), set("c", "A", 60, "192.0.2.1")}
	observed := append(owned(us, set("b", "A", 60, "192.0.2.9"), set("c", "A", 60, "192.0.2.9"), set("d", "A", 60, "192.0.2.9")),
		set("@", "MX", 300, "10 mail.example.com."), set("mail", "A", 300, "192.0.2.25"), set("x", "A", 300, "192.0.2.25"))
	made, err := Make(Request{Zone: zone, Owner: us, Desired: desired, Observed: observed})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	var p Plan
	if err := json.Unmarshal(stored, &p); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(made, p); d != "" {
		t.Fatalf("a plan does not survive being stored: %s", d)
	}
	changes := flat(p.Batches())
	end := carryOut(t, observed, changes)
	for n := range len(changes) + 1 {
		half := carryOut(t, observed, changes[:n])
		rest, err := Resume(p, half, Consent{})
		if err != nil {
			t.Fatalf("after %d of %d changes: %v", n, len(changes), err)
		}
		if d := cmp.Diff(end, carryOut(t, half, flat(rest.Batches()))); d != "" {
			t.Fatalf("after %d changes the rest leads elsewhere: %s", n, d)
		}
	}
	stale := map[string][]RRset{
		"ours was changed by hand":     append(slices.Clone(observed[2:]), owned(us, set("b", "A", 60, "192.0.2.77"))...),
		"a CNAME has come":             append(slices.Clone(observed), set("a", "CNAME", 60, "elsewhere.example.")),
		"another's record has come":    append(slices.Clone(observed), set("a", "A", 60, "192.0.2.66")),
		"another owner has come first": append(slices.Clone(observed), owned(them, set("a", "A", 60, "192.0.2.66"))...),
		"much of the zone has gone":    observed[:6],
	}
	for name, now := range stale {
		if _, err := Resume(p, now, Consent{}); !fault.Is(err, fault.Stale) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Resume(p, append(slices.Clone(observed), set("unrelated", "TXT", 60, `"x"`)), Consent{}); err != nil {
		t.Errorf("a record elsewhere in the zone makes the plan stale: %v", err)
	}
	p.Needs = []Need{{NeedMany, "it would remove much"}}
	if _, err := Resume(p, observed, Consent{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("no consent was given, but %v", err)
	}
	if _, err := Resume(p, observed, Consent{Removals: true}); err != nil {
		t.Error(err)
	}
}

// Generators: few names and types, so that they meet.
func drawSet(t *rapid.T, label string) RRset {
	name := rapid.SampledFrom([]string{"@", "a", "b", "*", "x.a", "sub", "y.sub"}).Draw(t, label+" name")
	typ := rapid.SampledFrom([]string{"A", "A", "AAAA", "CNAME", "TXT", "MX", "NS", "CAA"}).Draw(t, label+" type")
	values := map[string][]string{
		"A": {"192.0.2.1", "192.0.2.2"}, "AAAA": {"2001:db8::1", "2001:DB8:0::2"}, "CNAME": {"Edge.example.net", "other.example.net."},
		"TXT": {"plain", `"quoted \"text\""`}, "MX": {"10 mail.example.com.", "20 Mail2.example.com"}, "NS": {"ns1.example.net."}, "CAA": {`0 issue "ca.example"`},
	}[typ]
	picked := []string{rapid.SampledFrom(values).Draw(t, label+" value")}
	if typ != "CNAME" && rapid.Bool().Draw(t, label+" more") {
		picked = values
	}
	return set(name, typ, rapid.SampledFrom([]int{0, 1, 60, 300}).Draw(t, label+" ttl"), picked...)
}

func drawSets(t *rapid.T, label string) []RRset {
	var all []RRset
	taken := map[Key]bool{}
	for i := range rapid.IntRange(0, 8).Draw(t, label+" count") {
		s := drawSet(t, fmt.Sprintf("%s %d", label, i))
		if taken[s.Key()] {
			continue
		}
		taken[s.Key()] = true
		all = append(all, s)
	}
	return all
}

// coherent leaves out wanted sets that Make refuses.
func coherent(sets []RRset) []RRset {
	var kept []RRset
	types := map[string]string{}
	for _, s := range sets {
		if s.Key() == (Key{zone.Name, "NS"}) || types[s.Name] == "CNAME" || types[s.Name] != "" && s.Type == "CNAME" {
			continue
		}
		types[s.Name] = s.Type
		kept = append(kept, s)
	}
	return kept
}

// TestConverges: what a plan says, carried out, leaves nothing to do; nothing
// that is somebody else's is touched; it can stop anywhere and go on.
func TestConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var observed []RRset
		foreign := map[Key]RRset{}
		for i, s := range drawSets(t, "observed") {
			switch rapid.IntRange(0, 5).Draw(t, fmt.Sprintf("whose %d", i)) {
			case 0, 1:
				observed = append(observed, s)
				foreign[s.Key()] = s
			case 2:
				all := owned(them, s)
				observed = append(observed, all...)
				foreign[all[0].Key()], foreign[all[1].Key()] = all[0], all[1]
			case 3:
				observed = append(observed, marker(s.Key(), us))
			default:
				observed = append(observed, owned(us, s)...)
			}
		}
		abilities := Abilities{MinTTL: rapid.SampledFrom([]int{0, 60}).Draw(t, "min ttl"), ApexCNAME: rapid.Bool().Draw(t, "flattens")}
		r := Request{Zone: zone, Owner: us, Desired: coherent(drawSets(t, "desired")), Observed: observed, Abilities: abilities}
		taking := map[Key]bool{}
		if rapid.Bool().Draw(t, "takes") {
			for _, s := range r.Desired {
				taking[s.Key()], taking[Key{s.Name, "CNAME"}] = true, true
			}
			r.Take = sortedKeys(taking)
		}
		p, err := Make(r)
		if err != nil {
			t.Fatalf("%v", err)
		}
		changes := flat(p.Batches())
		n := rapid.IntRange(0, len(changes)).Draw(t, "stops after")
		half := carryOut(t, observed, changes[:n])
		rest, err := Resume(p, half, Consent{Removals: true})
		if err != nil {
			t.Fatalf("after %d of %d changes: %v", n, len(changes), err)
		}
		end := carryOut(t, half, flat(rest.Batches()))

		r.Observed = end
		if again, err := Make(r); err != nil || !again.Empty() {
			t.Fatalf("the second plan does %s, %v", summary(again), err)
		}
		have := map[Key]RRset{}
		for _, s := range end {
			have[s.Key()] = s
		}
		for k, s := range foreign {
			of, isMarker := markedBy(k)
			if taking[k] || isMarker && taking[of] {
				continue
			}
			if now, ok := have[k]; !ok || !now.Equal(s) {
				t.Fatalf("%s is somebody else's and became %+v", k, now)
			}
		}
		blocked := map[Key]bool{}
		for _, b := range p.Blocks {
			blocked[Key{b.Name, b.Type}] = true
		}
		for _, s := range r.Desired {
			now, ok := have[s.Key()]
			if s.TTL < abilities.MinTTL {
				s.TTL = abilities.MinTTL
			}
			if !blocked[s.Key()] && (!ok || !now.Equal(s)) {
				t.Fatalf("%s is wanted and not blocked, but is %+v", s.Key(), now)
			}
		}
	})
}

func TestTXT(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "text"))
		if back, err := UnquoteTXT(QuoteTXT(text)); err != nil || back != text {
			t.Fatalf("%q came back as %q, %v", text, back, err)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	f.Add("www.example.com", "SVCB", `1 . alpn="h2,h3" port=443`)
	f.Add("*.example.com", "TXT", `"a" "b\"\065"`)
	f.Add("example.com", "TYPE65280", `\# 2 abcd`)
	f.Add("example.com", "CAA", `0 issue "ca.example; x=y"`)
	f.Fuzz(func(t *testing.T, name, typ, value string) {
		s, err := RRset{Name: name, Type: typ, Values: []string{value}}.Canonical()
		if err != nil {
			return
		}
		again, err := s.Canonical()
		if err != nil || !again.Equal(s) {
			t.Fatalf("%+v, made canonical again, is %+v, %v", s, again, err)
		}
	})
}
