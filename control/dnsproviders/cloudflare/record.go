package cloudflare

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/dnsproviders"
	"github.com/edgewright/edgewright/control/dnsproviders/dnsplan"
)

// record is a DNS record as the API reads and writes it.
type record struct {
	ID       string          `json:"id,omitempty"`
	Name     string          `json:"name"`
	Type     string          `json:"type"`
	TTL      float64         `json:"ttl"`
	Content  string          `json:"content,omitempty"`
	Priority *float64        `json:"priority,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	Proxied  *bool           `json:"proxied,omitempty"`
	Comment  string          `json:"comment,omitempty"`

	value string // canonical rdata
}

// writable lists the types that newRecord can write.
var writable = []string{"A", "AAAA", "CNAME", "TXT", "MX", "NS", "PTR", "CAA", "SRV", "TLSA", "SSHFP", "SVCB", "HTTPS"}

// data is the union of the structured forms.
type data struct {
	Flags        *float64 `json:"flags,omitempty"`
	Tag          string   `json:"tag,omitempty"`
	Value        *string  `json:"value,omitempty"`
	Priority     *float64 `json:"priority,omitempty"`
	Weight       *float64 `json:"weight,omitempty"`
	Port         *float64 `json:"port,omitempty"`
	Target       string   `json:"target,omitempty"`
	Usage        *float64 `json:"usage,omitempty"`
	Selector     *float64 `json:"selector,omitempty"`
	MatchingType *float64 `json:"matching_type,omitempty"`
	Certificate  string   `json:"certificate,omitempty"`
	Algorithm    *float64 `json:"algorithm,omitempty"`
	Type         *float64 `json:"type,omitempty"`
	Fingerprint  string   `json:"fingerprint,omitempty"`
}

// rdata returns the record's value as a zone file has it.
func (r record) rdata() (string, error) {
	var d data
	if len(r.Data) > 0 {
		if err := json.Unmarshal(r.Data, &d); err != nil {
			return "", err
		}
	}
	n := func(p *float64) int {
		if p == nil {
			return 0
		}
		return int(*p)
	}
	switch r.Type {
	case "CNAME", "NS", "PTR":
		return dns.Fqdn(r.Content), nil
	case "MX":
		return fmt.Sprintf("%d %s", n(r.Priority), dns.Fqdn(r.Content)), nil
	case "TXT":
		if strings.HasPrefix(r.Content, `"`) {
			return r.Content, nil
		}
		return dnsplan.QuoteTXT(r.Content), nil // older records are kept without quotes
	case "SRV":
		return fmt.Sprintf("%d %d %d %s", n(d.Priority), n(d.Weight), n(d.Port), dns.Fqdn(d.Target)), nil
	case "CAA":
		if d.Value == nil {
			return "", fmt.Errorf("a CAA record without a value")
		}
		return fmt.Sprintf("%d %s %s", n(d.Flags), d.Tag, dnsplan.QuoteTXT(*d.Value)), nil
	case "TLSA":
		return fmt.Sprintf("%d %d %d %s", n(d.Usage), n(d.Selector), n(d.MatchingType), d.Certificate), nil
	case "SSHFP":
		return fmt.Sprintf("%d %d %s", n(d.Algorithm), n(d.Type), d.Fingerprint), nil
	case "SVCB", "HTTPS":
		text := fmt.Sprintf("%d %s", n(d.Priority), dns.Fqdn(d.Target))
		if d.Value != nil {
			text += " " + *d.Value
		}
		return text, nil
	}
	return r.Content, nil
}

// newRecord returns one record of a canonical set.
func newRecord(s dnsplan.RRset, value string) (record, error) {
	r := record{Name: s.Name, Type: s.Type, TTL: float64(s.TTL), value: value}
	rr, err := dns.NewRR(". 0 IN " + s.Type + " " + value)
	if err != nil {
		return r, &dnsproviders.Error{Reason: dnsproviders.Rejected, Message: fmt.Sprintf("%q is no value of type %s", value, s.Type), Err: err}
	}
	host := func(name string) string {
		if name == "." {
			return name
		}
		return strings.TrimSuffix(name, ".")
	}
	num := func(n int) *float64 { f := float64(n); return &f }
	var d *data
	switch rr := rr.(type) {
	case *dns.A, *dns.AAAA:
		r.Content, r.Proxied = value, &s.Proxied
	case *dns.CNAME:
		r.Content, r.Proxied = host(rr.Target), &s.Proxied
	case *dns.NS:
		r.Content = host(rr.Ns)
	case *dns.PTR:
		r.Content = host(rr.Ptr)
	case *dns.TXT:
		r.Content = value
	case *dns.MX:
		r.Content, r.Priority = host(rr.Mx), num(int(rr.Preference))
	case *dns.SRV:
		d = &data{Priority: num(int(rr.Priority)), Weight: num(int(rr.Weight)), Port: num(int(rr.Port)), Target: host(rr.Target)}
	case *dns.CAA:
		text, err := dnsplan.UnquoteTXT(`"` + rr.Value + `"`)
		if err != nil {
			return r, err
		}
		d = &data{Flags: num(int(rr.Flag)), Tag: rr.Tag, Value: &text}
	case *dns.TLSA:
		d = &data{Usage: num(int(rr.Usage)), Selector: num(int(rr.Selector)), MatchingType: num(int(rr.MatchingType)), Certificate: rr.Certificate}
	case *dns.SSHFP:
		d = &data{Algorithm: num(int(rr.Algorithm)), Type: num(int(rr.Type)), Fingerprint: rr.FingerPrint}
	case *dns.SVCB:
		d = serviceData(rr, value, host, num)
	case *dns.HTTPS:
		d = serviceData(&rr.SVCB, value, host, num)
	default:
		return r, &dnsproviders.Error{Reason: dnsproviders.Rejected, Message: "records of type " + s.Type + " cannot be written at Cloudflare from here", Fix: "set it in Cloudflare's dashboard"}
	}
	if d != nil {
		if r.Data, err = json.Marshal(d); err != nil {
			return r, err
		}
	}
	return r, nil
}

// serviceData takes the parameters as they are written in the value, after
// priority and target.
func serviceData(rr *dns.SVCB, value string, host func(string) string, num func(int) *float64) *data {
	params := ""
	if parts := strings.SplitN(value, " ", 3); len(parts) == 3 {
		params = parts[2]
	}
	return &data{Priority: num(int(rr.Priority)), Target: host(rr.Target), Value: &params}
}
