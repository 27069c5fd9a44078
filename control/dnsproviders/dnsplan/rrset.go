package dnsplan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
)

// Zone is a zone at a provider.
type Zone struct {
	ID   string `json:"id"`   // the provider's
	Name string `json:"name"` // lower case, no final dot
}

// Contains reports whether a canonical name is the zone's apex or below it.
func (z Zone) Contains(name string) bool {
	return name == z.Name || strings.HasSuffix(name, "."+z.Name)
}

// Key names an RRset in a zone.
type Key struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (k Key) String() string { return k.Name + " " + k.Type }

func compareKeys(a, b Key) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Type, b.Type))
}

// RRset is all records of one name and type (RFC 2181, section 5).
type RRset struct {
	Name   string   `json:"name"`   // absolute, lower case, no final dot
	Type   string   `json:"type"`   // "A", "TYPE65280"
	TTL    int      `json:"ttl"`    // seconds
	Values []string `json:"values"` // rdata in presentation form, sorted; names in them end with a dot
	// Proxied says that the provider answers with addresses of its own proxy.
	Proxied bool `json:"proxied,omitempty"`
	// Special says what the provider holds here that is more than an RRset (an
	// alias, weighted or geographic sets). Such a set is never changed.
	Special string `json:"special,omitempty"`
}

// Key returns what names the set.
func (s RRset) Key() Key { return Key{s.Name, s.Type} }

// Equal reports whether two canonical sets are the same.
func (s RRset) Equal(o RRset) bool {
	return s.Key() == o.Key() && s.TTL == o.TTL && s.Proxied == o.Proxied && s.Special == o.Special && slices.Equal(s.Values, o.Values)
}

// same compares two sets that may both be absent.
func same(a, b *RRset) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

// maxTTL is RFC 2181's.
const maxTTL = 1<<31 - 1

// Canonical returns the set in the one form in which sets are compared. Errors:
// Invalid with pointers into the set.
func (s RRset) Canonical() (RRset, error) {
	name, err := CanonicalName(s.Name)
	if err != nil {
		return RRset{}, fault.InvalidField("/name", err.Error(), "write it like www.example.com")
	}
	s.Name, s.Type = name, strings.ToUpper(strings.TrimSpace(s.Type))
	if s.Special != "" {
		slices.Sort(s.Values)
		return s, nil
	}
	if s.TTL < 0 || s.TTL > maxTTL {
		return RRset{}, fault.InvalidField("/ttl", fmt.Sprintf("%d is no TTL", s.TTL), fmt.Sprintf("use 0 to %d seconds", maxTTL))
	}
	if len(s.Values) == 0 {
		return RRset{}, fault.InvalidField("/values", "there are no values", "give at least one, or leave the record out")
	}
	values := make([]string, 0, len(s.Values))
	for i, v := range s.Values {
		canonical, err := CanonicalValue(s.Type, v)
		if err != nil {
			return RRset{}, fault.InvalidField(fmt.Sprintf("/values/%d", i), err.Error(), "write it as in a zone file")
		}
		values = append(values, canonical)
	}
	slices.Sort(values)
	s.Values = slices.Compact(values)
	if s.Type == "CNAME" && len(s.Values) > 1 {
		return RRset{}, fault.InvalidField("/values", "a CNAME has one target", "keep one")
	}
	return s, nil
}

// CanonicalName returns a name absolute, in lower case, with no final dot.
func CanonicalName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if _, ok := dns.IsDomainName(name); !ok || name == "" || name == "." || strings.ContainsAny(name, " \t\r\n") {
		return "", fmt.Errorf("%q is not a name", name)
	}
	return strings.TrimSuffix(dns.CanonicalName(name), "."), nil
}

// CanonicalValue returns rdata in canonical presentation form: names absolute
// and in lower case, TXT in strings of 255 bytes.
func CanonicalValue(typ, value string) (string, error) {
	if strings.ContainsAny(value, "\r\n\x00") {
		return "", fmt.Errorf("a value is one line")
	}
	if strings.TrimSpace(value) == "" {
		return "", fmt.Errorf("the value is empty")
	}
	if typ == "TXT" {
		text, err := UnquoteTXT(value)
		if err != nil {
			return "", err
		}
		return QuoteTXT(text), nil
	}
	rr, err := dns.NewRR(". 0 IN " + typ + " " + value)
	if err != nil || rr == nil || dns.Type(rr.Header().Rrtype).String() != typ {
		return "", fmt.Errorf("%q is no value of type %s", value, typ)
	}
	switch r := rr.(type) {
	case *dns.CNAME:
		r.Target = dns.CanonicalName(r.Target)
	case *dns.DNAME:
		r.Target = dns.CanonicalName(r.Target)
	case *dns.NS:
		r.Ns = dns.CanonicalName(r.Ns)
	case *dns.PTR:
		r.Ptr = dns.CanonicalName(r.Ptr)
	case *dns.MX:
		r.Mx = dns.CanonicalName(r.Mx)
	case *dns.SRV:
		r.Target = dns.CanonicalName(r.Target)
	case *dns.SVCB:
		canonicalSVCB(r)
	case *dns.HTTPS:
		canonicalSVCB(&r.SVCB)
	case *dns.TLSA:
		r.Certificate = strings.ToLower(r.Certificate)
	case *dns.RFC3597:
		return fmt.Sprintf(`\# %d %s`, len(r.Rdata)/2, strings.ToLower(r.Rdata)), nil
	case *dns.SSHFP:
		r.FingerPrint = strings.ToLower(r.FingerPrint)
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String()), nil
}

// canonicalSVCB sorts the parameters, as they are on the wire (RFC 9460,
// section 2.2).
func canonicalSVCB(r *dns.SVCB) {
	r.Target = dns.CanonicalName(r.Target)
	slices.SortFunc(r.Value, func(a, b dns.SVCBKeyValue) int { return cmp.Compare(a.Key(), b.Key()) })
}

// QuoteTXT writes text as the rdata of a TXT record: strings of at most 255
// bytes, quoted (RFC 1035, section 5.1).
func QuoteTXT(text string) string {
	var b strings.Builder
	for first := true; first || text != ""; first = false {
		if !first {
			b.WriteByte(' ')
		}
		part := text[:min(len(text), 255)]
		text = text[len(part):]
		b.WriteByte('"')
		for i := range len(part) {
			switch c := part[i]; {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, `\%03d`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}

// UnquoteTXT returns the text of a TXT record's rdata, its strings joined. Words
// that are not quoted count as strings too.
func UnquoteTXT(rdata string) (string, error) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(rdata); i++ {
		c := rdata[i]
		switch {
		case c == '\\':
			n, used, ok := unescape(rdata[i+1:])
			if !ok {
				return "", fmt.Errorf("%q ends in, or has, an escape that means nothing", rdata)
			}
			b.WriteByte(n)
			i += used
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t'):
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", fmt.Errorf("%q has a quote that is not closed", rdata)
	}
	return b.String(), nil
}

// unescape reads what follows a backslash: a character, or three decimal digits.
func unescape(s string) (c byte, used int, ok bool) {
	if s == "" {
		return 0, 0, false
	}
	if s[0] < '0' || s[0] > '9' {
		return s[0], 1, true
	}
	if len(s) < 3 {
		return 0, 0, false
	}
	n := 0
	for _, d := range []byte(s[:3]) {
		if d < '0' || d > '9' {
			return 0, 0, false
		}
		n = n*10 + int(d-'0')
	}
	return byte(n), 3, n < 256
}
