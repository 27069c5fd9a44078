package domains

import (
	"context"
	"net/netip"
	"strings"
)

// Purposes of records.
const (
	PurposeOwnership = "ownership"
	PurposeRouting   = "routing"
)

// ownershipRecord is the record that proves control of a name.
func ownershipRecord(name Name, token string) DNSRecord {
	full := challengeName(name)
	return DNSRecord{Purpose: PurposeOwnership, Type: "TXT", Name: name.Relative(full), FullName: full, Value: token, TTL: recordTTL}
}

// routing lists the records that lead to our edges, for the user to set. Free
// names need none: the machine or the platform's zone has them.
func (s *Service) routing(ctx context.Context, name Name) (list []DNSRecord, err error) {
	hostname, addresses, err := s.targets(ctx)
	if err != nil {
		return nil, err
	}
	add := func(typ, value string) {
		list = append(list, DNSRecord{
			Purpose: PurposeRouting, Type: typ, Name: name.Relative(name.ASCII), FullName: name.ASCII, Value: value, TTL: recordTTL,
		})
	}
	// A CNAME cannot stand beside the SOA of an apex (RFC 1034 section 3.6.2).
	if hostname != "" && (name.Wildcard || name.Base != name.Registrable) {
		add("CNAME", hostname)
		return list, nil
	}
	for _, text := range addresses {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		if addr.Unmap().Is4() {
			add("A", addr.Unmap().String())
		} else {
			add("AAAA", addr.String())
		}
	}
	return list, nil
}

func (s *Service) targets(ctx context.Context) (hostname string, addresses []string, err error) {
	if s.Targets == nil {
		return "", nil, nil
	}
	hostname, addresses, err = s.Targets.Targets(ctx)
	return strings.TrimSuffix(strings.ToLower(hostname), "."), addresses, err
}
