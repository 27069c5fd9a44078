package zones

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// Bounds of zones and sets.
const (
	minTTL        = 1
	maxTTL        = 7 * 24 * 3600 // RFC 8767 section 4 advises resolvers to cut there
	maxNegative   = 3 * 3600      // RFC 2308 section 5
	defaultTTL    = 300
	maxValues     = 500
	maxAnswers    = 200
	maxComment    = 500
	maxTags       = 20
	maxTag        = 100
	maxSPFLookups = 10 // RFC 7208 section 4.6.4
	maxSPFLength  = 450
)

// Type is the row of zones in the table of types.
func Type() resource.Type {
	return resource.Type{
		Kind: Kind, Prefix: "zon", Scope: resource.ScopeEnvironment,
		CanonicalName: ParseApex,
		Normalize: func(name string, raw json.RawMessage) (json.RawMessage, error) {
			spec, err := decodeSpec(raw)
			if err != nil {
				return nil, err
			}
			return mustJSON(spec), nil
		},
		References: transferReferences,
	}
}

// RRsetType is the row of record sets.
func RRsetType() resource.Type {
	return resource.Type{
		Kind: KindRRset, Prefix: "rrs", Scope: resource.ScopeEnvironment,
		CanonicalName: func(name string) (string, error) {
			owner, typ, apex, err := ParseRRsetName(name)
			return RRsetName(owner, typ, apex), err
		},
		Normalize: func(name string, raw json.RawMessage) (json.RawMessage, error) {
			spec, err := decodeRRset(name, raw)
			if err != nil {
				return nil, err
			}
			return mustJSON(spec), nil
		},
		References: func(raw json.RawMessage) []resource.Reference {
			var spec struct {
				Zone string `json:"zone"`
			}
			if json.Unmarshal(raw, &spec) != nil || spec.Zone == "" {
				return nil
			}
			return []resource.Reference{{Kind: Kind, Name: spec.Zone}}
		},
	}
}

// DelegationType is the row of delegations. They are made with zones alone:
// plans neither make nor undo them.
func DelegationType() resource.Type {
	return resource.Type{
		Kind: KindDelegation, Prefix: "dlg", Scope: resource.ScopePlatform,
		CanonicalName: ParseApex,
		Normalize: func(_ string, raw json.RawMessage) (json.RawMessage, error) {
			var spec DelegationSpec
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			if len(spec.Pair) != 2 {
				return nil, fault.New(fault.Invalid, "a delegation has two name servers")
			}
			return mustJSON(spec), nil
		},
		Derived: func(json.RawMessage) bool { return true },
	}
}

// decodeSpec decodes strictly, fills in defaults and validates.
func decodeSpec(raw json.RawMessage) (Spec, error) {
	spec := Spec{TTL: defaultTTL, Negative: defaultTTL, Sites: true, DNSSEC: DNSSEC{Algorithm: AlgorithmECDSA, Keys: KeysCombined, Denial: edgeconfig.DenialNSEC}}
	if err := resource.DecodeSpec(raw, &spec); err != nil {
		return spec, err
	}
	var faults []fault.Field
	add := func(pointer, detail, fix string) {
		faults = append(faults, fault.Field{Pointer: pointer, Detail: detail, Fix: fix})
	}
	if spec.TTL < minTTL || spec.TTL > maxTTL {
		add("/ttl", fmt.Sprintf("%d seconds are out of range", spec.TTL), fmt.Sprintf("write %d to %d", minTTL, maxTTL))
	}
	if spec.Negative < minTTL || spec.Negative > maxNegative {
		add("/negative_ttl", fmt.Sprintf("%d seconds are out of range", spec.Negative), fmt.Sprintf("write %d to %d (RFC 2308)", minTTL, maxNegative))
	}
	if spec.Contact != "" {
		if _, err := mailbox(spec.Contact); err != nil {
			add("/contact", err.Error(), "write a mail address, such as hostmaster@example.com")
		}
	}
	if len(spec.Comment) > maxComment {
		add("/comment", fmt.Sprintf("%d characters are more than %d", len(spec.Comment), maxComment), "shorten it")
	}
	d := &spec.DNSSEC
	choose := func(pointer string, got *string, options ...string) {
		if *got == "" {
			*got = options[0]
		}
		if !slices.Contains(options, *got) {
			add(pointer, fmt.Sprintf("%q is not known", *got), "write "+strings.Join(options, " or "))
		}
	}
	choose("/dnssec/algorithm", &d.Algorithm, AlgorithmECDSA, AlgorithmEd25519)
	choose("/dnssec/keys", &d.Keys, KeysCombined, KeysSplit)
	choose("/dnssec/denial", &d.Denial, edgeconfig.DenialNSEC, edgeconfig.DenialNSEC3, edgeconfig.DenialCompact)
	checkTransfers(&spec, add)
	if d.Roll < 0 || d.RollZSK < 0 {
		add("/dnssec/roll", "the count of rollovers is below 0", "raise it by one to ask for a rollover")
	}
	return spec, fault.InvalidFields(faults)
}

// mailbox writes a mail address as the SOA has it (RFC 1035 section 8).
func mailbox(address string) (string, error) {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(address, " \t\\\"") {
		return "", fmt.Errorf("%q is no mail address", address)
	}
	name, err := canonical(strings.ReplaceAll(local, ".", `\.`) + "." + domain)
	if err != nil {
		return "", err
	}
	return name, nil
}

// decodeRRset decodes strictly and validates a set by itself.
func decodeRRset(name string, raw json.RawMessage) (RRsetSpec, error) {
	var spec RRsetSpec
	owner, typ, apex, err := ParseRRsetName(name)
	if err != nil {
		return spec, err
	}
	if err := resource.DecodeSpec(raw, &spec); err != nil {
		return spec, err
	}
	c := &setChecker{owner: owner, typ: typ, apex: apex}
	if zone, err := ParseApex(spec.Zone); spec.Zone != "" && (err != nil || zone != apex) {
		c.add("/zone", fmt.Sprintf("the set is named for the zone %s, and says %s", apex, spec.Zone), "leave it out")
	}
	spec.Zone = apex
	c.check(&spec)
	return spec, fault.InvalidFields(c.fields)
}

type setChecker struct {
	owner, typ, apex string
	fields           []fault.Field
}

func (c *setChecker) add(pointer, detail, fix string) {
	c.fields = append(c.fields, fault.Field{Pointer: pointer, Detail: detail, Fix: fix})
}

func (c *setChecker) check(s *RRsetSpec) {
	if s.TTL != 0 && (s.TTL < minTTL || s.TTL > maxTTL) {
		c.add("/ttl", fmt.Sprintf("%d seconds are out of range", s.TTL), fmt.Sprintf("write %d to %d, or 0 for the zone's", minTTL, maxTTL))
	}
	c.place()
	s.Values = c.values("", s.Values, s.Target)
	c.target("/target", s.Target, len(s.Values) > 0)
	c.steering(s)
	if len(s.Comment) > maxComment {
		c.add("/comment", fmt.Sprintf("%d characters are more than %d", len(s.Comment), maxComment), "shorten it")
	}
	if len(s.Tags) > maxTags {
		c.add("/tags", fmt.Sprintf("%d tags are more than %d", len(s.Tags), maxTags), "remove some")
	}
	for key, value := range s.Tags {
		if key == "" || len(key) > maxTag || len(value) > maxTag {
			c.add("/tags", fmt.Sprintf("the tag %.40q is empty or longer than %d characters", key, maxTag), "shorten it")
		}
	}
}

// place checks whether a set of this type may stand at this name.
func (c *setChecker) place() {
	labels := dns.SplitDomainName(c.owner)
	switch c.typ {
	case "CNAME":
		if c.owner == "@" {
			c.add("/type", "the apex cannot be a CNAME, because SOA and NS are there (RFC 1034 section 3.6.2)", "write an ALIAS with the same value")
		}
	case "DNAME":
		if strings.HasPrefix(c.owner, "*") {
			c.add("/name", "a wildcard is not redirected: what is below it would be (RFC 6672 section 3.3)", "write a CNAME at the wildcard, or a DNAME at the name above it")
		}
	case "NS":
		if strings.HasPrefix(c.owner, "*") {
			c.add("/name", "a wildcard cannot be delegated (RFC 4592 section 4.2)", "delegate each name")
		}
		if c.owner == "@" {
			c.add("/type", "the name servers of the zone itself are given by the platform", "leave the apex's NS records out; NS records of names below delegate these")
		}
	case "DS":
		if c.owner == "@" {
			c.add("/type", "a DS of the zone itself stands in the zone above", "give it to your registrar; DS records here are for names that you delegate")
		}
		if strings.HasPrefix(c.owner, "*") {
			c.add("/name", "a wildcard cannot be delegated (RFC 4592 section 4.2)", "delegate each name")
		}
	case "SRV":
		if len(labels) < 2 || !strings.HasPrefix(labels[0], "_") || !strings.HasPrefix(labels[1], "_") {
			c.add("/name", fmt.Sprintf("an SRV record stands at a service, not at %s (RFC 2782)", c.owner), "write _SERVICE._PROTOCOL before the name, such as _sip._tcp")
		}
	case "TLSA", "SMIMEA":
		if c.typ == "TLSA" && (len(labels) < 2 || !strings.HasPrefix(labels[0], "_") && labels[0] != "*" || !strings.HasPrefix(labels[1], "_")) {
			c.add("/name", fmt.Sprintf("a TLSA record stands at a port, not at %s (RFC 6698 section 3)", c.owner), "write _PORT._PROTOCOL before the name, such as _443._tcp")
		}
	}
}

func (c *setChecker) values(at string, texts []string, target *Target) []string {
	if len(texts) > maxValues {
		c.add(at+"/values", fmt.Sprintf("%d values are more than %d", len(texts), maxValues), "remove some")
		return texts
	}
	values, fields := parseValues(c.typ, texts, c.apex, at+"/values")
	c.fields = append(c.fields, fields...)
	if len(fields) > 0 {
		return texts
	}
	if len(texts) == 0 && target == nil && at == "" {
		c.add(at+"/values", "there is no value", "write at least one, or a target; to remove the set, delete it")
	}
	if (c.typ == "CNAME" || c.typ == "DNAME" || c.typ == TypeALIAS) && len(values) > 1 {
		c.add(at+"/values", fmt.Sprintf("a name has one %s, not %d", c.typ, len(values)), "keep one")
	}
	out := make([]string, len(values))
	size := 0
	for i, v := range values {
		out[i] = v.text
		size += len(v.wire) + 12
		c.own(at, v)
	}
	if size > edgeconfig.MaxRRsetBytes/2 { // signatures want room too
		c.add(at+"/values", fmt.Sprintf("the set takes %d bytes, more than %d", size, edgeconfig.MaxRRsetBytes/2), "shorten or remove values")
	}
	if c.typ == "TXT" {
		c.spf(at, values)
	}
	if c.typ == "MX" && len(out) > 1 && slices.Contains(out, "0 .") {
		c.add(at+"/values", "an MX of . says that there is no mail here, beside others (RFC 7505 section 3)", "remove it, or the others")
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// own looks for values that lead to their own name.
func (c *setChecker) own(at string, v value) {
	full := FullName(c.owner, c.apex) + "."
	if (c.typ == "CNAME" || c.typ == TypeALIAS) && v.text == full {
		c.add(at+"/values", fmt.Sprintf("%s leads to itself", full), "write where it shall lead")
	}
	if c.typ == "DNAME" && dns.IsSubDomain(full, v.text) {
		c.add(at+"/values", fmt.Sprintf("what is below %s would lead below it again, without end", full), "write a name that is not below it")
	}
}

// spf checks the policies among TXT values (RFC 7208).
func (c *setChecker) spf(at string, values []value) {
	policies := 0
	for _, v := range values {
		text := plainText(v.wire)
		if version, _, _ := strings.Cut(text, " "); !strings.EqualFold(version, "v=spf1") {
			continue
		}
		if policies++; policies == 2 {
			c.add(at+"/values", "there are two SPF policies, so that none counts (RFC 7208 section 4.5)", "put both into one: one v=spf1, all mechanisms, one all")
		}
		if len(text) > maxSPFLength {
			c.add(at+"/values", fmt.Sprintf("the SPF policy has %d characters, above %d answers are cut (RFC 7208 section 3.4)", len(text), maxSPFLength), "move some of it to another name and include that")
		}
		lookups := 0
		for _, term := range strings.Fields(text)[1:] {
			term = strings.ToLower(strings.TrimLeft(term, "+-~?"))
			for _, m := range []string{"include:", "a", "mx", "ptr", "exists:", "redirect="} {
				if term == strings.TrimRight(m, ":=") || strings.HasPrefix(term, m) && (strings.HasSuffix(m, ":") || strings.HasSuffix(m, "=")) ||
					strings.HasPrefix(term, m+":") || strings.HasPrefix(term, m+"/") {
					lookups++
					break
				}
			}
		}
		if lookups > maxSPFLookups {
			c.add(at+"/values", fmt.Sprintf("the SPF policy takes %d look-ups by itself, more than %d make it fail (RFC 7208 section 4.6.4)", lookups, maxSPFLookups), "write addresses (ip4:, ip6:) in place of some")
		}
	}
}

// plainText joins the strings of a TXT record.
func plainText(wire []byte) string {
	var b strings.Builder
	for i := 0; i < len(wire); i += int(wire[i]) + 1 {
		b.Write(wire[i+1 : i+1+int(wire[i])])
	}
	return b.String()
}

func (c *setChecker) target(at string, t *Target, values bool) {
	if t == nil {
		return
	}
	if values {
		c.add(at, "a set has values or a target, not both", "remove one of the two")
	}
	if c.typ != "A" && c.typ != "AAAA" && c.typ != TypeALIAS {
		c.add(at, fmt.Sprintf("a %s record cannot point at a target", c.typ), "use A, AAAA or ALIAS")
	}
	switch t.Kind {
	case TargetEdges:
		if t.ID != "" {
			c.add(at+"/id", "all edges have no ID", `leave it out, or write the kind "edge" or "region"`)
		}
	case TargetEdge, TargetRegion:
		if t.ID == "" {
			c.add(at+"/id", "the "+t.Kind+" is missing", "write its ID or name")
		}
	default:
		c.add(at+"/kind", fmt.Sprintf("%q is no kind of target", t.Kind), `write "edges", "edge" or "region"`)
	}
}

var continents = []string{"AF", "AN", "AS", "EU", "NA", "OC", "SA"}

func (c *setChecker) steering(s *RRsetSpec) {
	st := s.Steering
	if st == nil {
		return
	}
	switch {
	case c.typ == "NS" || c.typ == "DS" || c.typ == "DNAME":
		c.add("/steering", c.typ+" records are the same for everybody", "remove it")
	case st.Policy == PolicyLatency && (s.Target == nil || s.Target.Kind != TargetEdges):
		c.add("/steering/policy", "the latency policy chooses among our regions, and this set does not point at them", `write the target {"kind":"edges"}`)
	case st.Policy != "" && st.Policy != PolicyLatency:
		c.add("/steering/policy", fmt.Sprintf("%q is no policy", st.Policy), `write "latency", or leave it out and write answers`)
	case st.Policy == "" && len(st.Answers) == 0:
		c.add("/steering/answers", "there is no answer to steer to", "write some, or remove the steering")
	}
	if len(st.Answers) > maxAnswers {
		c.add("/steering/answers", fmt.Sprintf("%d answers are more than %d", len(st.Answers), maxAnswers), "remove some")
		return
	}
	for i := range st.Answers {
		a, at := &st.Answers[i], fmt.Sprintf("/steering/answers/%d", i)
		for j, country := range a.Countries {
			a.Countries[j] = strings.ToUpper(country)
			if len(country) != 2 || strings.Trim(a.Countries[j], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
				c.add(fmt.Sprintf("%s/countries/%d", at, j), fmt.Sprintf("%q is no country", country), "write two letters of ISO 3166-1, such as DE")
			}
		}
		for j, continent := range a.Continents {
			a.Continents[j] = strings.ToUpper(continent)
			if !slices.Contains(continents, a.Continents[j]) {
				c.add(fmt.Sprintf("%s/continents/%d", at, j), fmt.Sprintf("%q is no continent", continent), "write one of "+strings.Join(continents, ", "))
			}
		}
		if a.Weight < 0 || a.Weight > 1<<20 {
			c.add(at+"/weight", fmt.Sprintf("the weight %d is out of range", a.Weight), "write 0 to 1048576")
		}
		if a.Order < 0 || a.Order > 1000 {
			c.add(at+"/order", fmt.Sprintf("the order %d is out of range", a.Order), "write 0 to 1000, the lowest first")
		}
		if len(a.Values) == 0 && a.Target == nil {
			c.add(at+"/values", "the answer is empty", "write values or a target")
		}
		a.Values = c.values(at, a.Values, a.Target)
		c.target(at+"/target", a.Target, len(a.Values) > 0)
	}
	c.checks(st)
}

// mustJSON encodes this room's own types, which hold nothing that JSON cannot.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("zones: " + err.Error())
	}
	return b
}
