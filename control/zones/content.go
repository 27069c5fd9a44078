package zones

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// Place is an edge that records can point at.
type Place struct {
	ID, Name, Region string
	Addresses        []netip.Addr
}

// content turns what is wanted of a zone into sets in wire form. It is pure:
// what comes from elsewhere was looked up before.
type content struct {
	id      string
	apex    string
	spec    Spec
	servers []string // absolute, without trailing dot
	places  []Place
	aliases map[string]Addresses            // by name, without trailing dot
	sets    map[string]map[string]RRsetSpec // by owner and type
	sites   map[string]bool                 // owners that are sites of ours
	extra   map[string][]string             // owners -> texts of challenges under way
	below   map[string]child                // owners that are zones of the same project
	https   string                          // what the HTTPS record of a site says beside hints; "": none

	checks map[string]edgeconfig.Check // that owners looked at so far depend on, by ID
}

// child is a zone of the same project below this one.
type child struct {
	servers []string
	ds      []string
}

// owner returns the sets of one name, and what had to be left out.
func (c *content) owner(owner string) (out []edgeconfig.RRset, problems []string) {
	made := map[uint16]edgeconfig.RRset{}
	full := FullName(owner, c.apex)
	leave := func(typ, why string) { problems = append(problems, full+" "+typ+" is left out: "+why) }
	have := c.sets[owner]
	for _, typ := range slices.Sorted(maps.Keys(have)) {
		if typ == TypeALIAS {
			continue
		}
		spec := have[typ]
		number, _ := typeNumber(typ)
		set, err := c.set(full, number, typ, spec, c.plain(typ))
		switch {
		case err != nil:
			leave(typ, err.Error())
		case len(set.Data) == 0:
			leave(typ, "its target has no address of this family")
		default:
			made[number] = set
		}
	}
	if spec, ok := have[TypeALIAS]; ok {
		if err := c.alias(full, made, spec); err != nil {
			leave(TypeALIAS, err.Error())
		}
	}
	c.derive(owner, made)
	if up := c.redirectedAbove(owner); up != "" {
		for _, typ := range slices.Sorted(maps.Keys(made)) {
			leave(typeName(typ), fmt.Sprintf("everything below %s is redirected by its DNAME (RFC 6672 section 2.4)", FullName(up, c.apex)))
		}
		return nil, problems
	}
	if cname, ok := made[dns.TypeCNAME]; ok && len(made) > 1 {
		delete(made, dns.TypeCNAME)
		others := slices.Sorted(maps.Keys(made))
		target, _ := textOf(dns.TypeCNAME, cname.Data[0])
		leave("CNAME", fmt.Sprintf("it would lead to %s, and a CNAME stands alone: here is %s beside it (RFC 2181 section 10.1)", target, typeName(others[0])))
	}
	if _, ok := made[dns.TypeDS]; ok && made[dns.TypeNS].Data == nil {
		delete(made, dns.TypeDS)
		leave("DS", "the name is not delegated: add its NS records")
	}
	for _, typ := range slices.Sorted(maps.Keys(made)) {
		out = append(out, made[typ])
	}
	return out, problems
}

func (c *content) ttl(spec RRsetSpec) uint32 {
	if spec.TTL > 0 {
		return uint32(spec.TTL)
	}
	return uint32(c.spec.TTL)
}

// data finds the data of values or of a target.
type data func(values []string, target *Target) ([][]byte, error)

// plain reads values as they are written.
func (c *content) plain(typ string) data {
	return func(values []string, target *Target) ([][]byte, error) {
		if target != nil {
			number, _ := typeNumber(typ)
			return c.addresses(*target, number), nil
		}
		parsed, fields := parseValues(typ, values, c.apex, "")
		if len(fields) > 0 {
			return nil, fmt.Errorf("%s", fields[0].Detail)
		}
		var out [][]byte
		for _, v := range parsed {
			out = append(out, v.wire)
		}
		return out, nil
	}
}

// set makes a set with its variants.
func (c *content) set(full string, number uint16, typ string, spec RRsetSpec, find data) (edgeconfig.RRset, error) {
	set := edgeconfig.RRset{Type: number, TTL: c.ttl(spec)}
	var err error
	if set.Data, err = find(spec.Values, spec.Target); err != nil || spec.Steering == nil {
		return set, err
	}
	if spec.Steering.Policy == PolicyLatency {
		for _, region := range c.regions() {
			if data := c.addresses(Target{Kind: TargetRegion, ID: region}, number); len(data) > 0 {
				set.Variants = append(set.Variants, edgeconfig.Variant{Regions: []string{region}, Data: data})
			}
		}
	}
	for _, a := range spec.Steering.Answers {
		data, err := find(a.Values, a.Target)
		if err != nil {
			return set, err
		}
		if len(data) == 0 {
			continue // of the other family
		}
		check := ""
		if h, ok := spec.Steering.Checks[a.Check]; ok && a.Check != "" {
			value := ""
			if len(a.Values) > 0 {
				value = a.Values[0]
			}
			k := h.document(c.id, full, value)
			check, c.checks[k.ID] = k.ID, k
		}
		set.Variants = append(set.Variants, edgeconfig.Variant{
			Countries: a.Countries, Continents: a.Continents, Regions: a.Regions, Order: a.Order, Weight: a.Weight, Check: check, Data: data,
		})
	}
	if len(set.Data) == 0 && len(set.Variants) > 0 { // never an empty answer
		set.Data = set.Variants[0].Data
	}
	return set, nil
}

// alias puts the addresses that an ALIAS leads to beside what is there.
func (c *content) alias(full string, made map[uint16]edgeconfig.RRset, spec RRsetSpec) error {
	found := false
	for _, number := range []uint16{dns.TypeA, dns.TypeAAAA} {
		set, err := c.set(full, number, TypeALIAS, spec, func(values []string, target *Target) ([][]byte, error) {
			if target != nil {
				return c.addresses(*target, number), nil
			}
			var out [][]byte
			for _, v := range values {
				out = append(out, c.follow(strings.TrimSuffix(v, "."), number, 0)...)
			}
			return unique(out), nil
		})
		if err != nil {
			return err
		}
		if len(set.Data) == 0 {
			continue
		}
		found = true
		if _, own := made[number]; !own {
			made[number] = set
		}
	}
	if !found {
		return fmt.Errorf("%s leads to no address", aliasTarget(spec))
	}
	return nil
}

func aliasTarget(spec RRsetSpec) string {
	if len(spec.Values) > 0 {
		return strings.TrimSuffix(spec.Values[0], ".")
	}
	return "it"
}

// follow finds the addresses of a name: in the zone itself, or as they were last
// looked up.
func (c *content) follow(name string, number uint16, depth int) [][]byte {
	owner, inside := within(name, c.apex)
	if !inside {
		a := c.aliases[name]
		texts := a.A
		if number == dns.TypeAAAA {
			texts = a.AAAA
		}
		var out [][]byte
		for _, t := range texts {
			if ip, err := netip.ParseAddr(t); err == nil {
				out = append(out, ip.AsSlice())
			}
		}
		return unique(out)
	}
	if depth > 8 {
		return nil
	}
	if have, ok := c.sets[owner][typeName(number)]; ok {
		out, _ := c.plain(typeName(number))(have.Values, have.Target)
		return out
	}
	for _, typ := range []string{"CNAME", TypeALIAS} {
		have, ok := c.sets[owner][typ]
		switch {
		case ok && have.Target != nil:
			return c.addresses(*have.Target, number)
		case ok && len(have.Values) > 0:
			return c.follow(strings.TrimSuffix(have.Values[0], "."), number, depth+1)
		}
	}
	if c.spec.Sites && c.sites[owner] {
		return c.addresses(Target{Kind: TargetEdges}, number)
	}
	return nil
}

// within returns the owner that a whole name is in a zone, false when it is not.
func within(name, apex string) (string, bool) {
	if name == apex {
		return "@", true
	}
	return strings.CutSuffix(name, "."+apex)
}

// derive adds what the user need not write: the zone's name servers, sites of
// ours, delegations of zones of the same project, and challenges.
func (c *content) derive(owner string, made map[uint16]edgeconfig.RRset) {
	ttl := uint32(c.spec.TTL)
	edges := func() {
		for _, number := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if data := c.addresses(Target{Kind: TargetEdges}, number); len(data) > 0 {
				made[number] = edgeconfig.RRset{Type: number, TTL: ttl, Data: data}
			}
		}
	}
	free := func(types ...uint16) bool {
		return !slices.ContainsFunc(types, func(t uint16) bool { _, there := made[t]; return there })
	}
	names := func(servers []string) [][]byte {
		var data [][]byte
		for _, s := range servers {
			data = append(data, mustPack(s))
		}
		return unique(data)
	}
	switch child, ok := c.below[owner]; {
	case owner == "@":
		made[dns.TypeNS] = edgeconfig.RRset{Type: dns.TypeNS, TTL: nsTTL, Data: names(c.servers)}
	case ok && free(dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME):
		made[dns.TypeNS] = edgeconfig.RRset{Type: dns.TypeNS, TTL: nsTTL, Data: names(child.servers)}
		if values, fields := parseValues("DS", child.ds, c.apex, ""); len(fields) == 0 && len(values) > 0 && free(dns.TypeDS) {
			set := edgeconfig.RRset{Type: dns.TypeDS, TTL: keyTTL}
			for _, v := range values {
				set.Data = append(set.Data, v.wire)
			}
			made[dns.TypeDS] = set
		}
	}
	if slices.Contains(c.servers, FullName(owner, c.apex)) && free(dns.TypeA, dns.TypeAAAA, dns.TypeCNAME) {
		edges()
	}
	if c.spec.Sites && c.sites[owner] && free(dns.TypeCNAME, dns.TypeNS) || c.spec.Sites && c.sites[owner] && owner == "@" {
		ours := free(dns.TypeA, dns.TypeAAAA)
		if ours {
			edges()
		}
		if ours && c.https != "" && free(dns.TypeHTTPS) && !free(dns.TypeA, dns.TypeAAAA) {
			text := c.https + addressHints("ipv4hint", made[dns.TypeA]) + addressHints("ipv6hint", made[dns.TypeAAAA])
			if values, fields := parseValues("HTTPS", []string{text}, c.apex, ""); len(fields) == 0 {
				made[dns.TypeHTTPS] = edgeconfig.RRset{Type: dns.TypeHTTPS, TTL: min(ttl, maxHTTPSTTL), Data: [][]byte{values[0].wire}}
			}
		}
	}
	if texts := c.extra[owner]; len(texts) > 0 {
		set := made[dns.TypeTXT]
		if set.Data == nil {
			set = edgeconfig.RRset{Type: dns.TypeTXT, TTL: challengeTTL}
		}
		set.Data = slices.Clone(set.Data)
		for _, t := range texts {
			if v, err := parseTXT(t); err == nil {
				set.Data = append(set.Data, v.wire)
			}
		}
		set.Data = unique(set.Data)
		made[dns.TypeTXT] = set
	}
}

// addressHints are the addresses of a set as a parameter of an HTTPS record (RFC 9460
// section 7.3); "" when there are none.
func addressHints(name string, set edgeconfig.RRset) string {
	var list []string
	for _, d := range set.Data[:min(len(set.Data), maxHints)] {
		if a, ok := netip.AddrFromSlice(d); ok {
			list = append(list, a.String())
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " " + name + "=" + strings.Join(list, ",")
}

const (
	maxHTTPSTTL  = 3600 // seconds: what it says of ECH is good for little longer
	maxHints     = 8
	nsTTL        = 3600
	challengeTTL = 30
)

// addresses are those of a target, of one family.
func (c *content) addresses(t Target, number uint16) [][]byte {
	var out [][]byte
	for _, p := range c.places {
		switch {
		case t.Kind == TargetEdge && p.ID != t.ID && p.Name != t.ID, t.Kind == TargetRegion && p.Region != t.ID:
			continue
		}
		for _, a := range p.Addresses {
			if a = a.Unmap(); a.Is4() == (number == dns.TypeA) && (number == dns.TypeA || number == dns.TypeAAAA) {
				out = append(out, a.AsSlice())
			}
		}
	}
	return unique(out)
}

func (c *content) regions() []string {
	var out []string
	for _, p := range c.places {
		out = append(out, p.Region)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func unique(data [][]byte) [][]byte {
	slices.SortFunc(data, bytes.Compare)
	return slices.CompactFunc(data, bytes.Equal)
}

// foreign lists the names outside of the zone that ALIAS records of a set lead
// to.
func foreign(typ string, spec RRsetSpec, apex string) []string {
	if typ != TypeALIAS {
		return nil
	}
	var out []string
	add := func(values []string) {
		for _, v := range values {
			name := strings.TrimSuffix(v, ".")
			if _, inside := within(name, apex); !inside {
				out = append(out, name)
			}
		}
	}
	add(spec.Values)
	if spec.Steering != nil {
		for _, a := range spec.Steering.Answers {
			add(a.Values)
		}
	}
	return out
}
