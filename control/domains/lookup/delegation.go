package lookup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/fault"
)

// Delegation compares what the parent of a zone says of it with what the zone
// says of itself. Errors: NotFound when nobody serves the zone or its parent;
// Unavailable.
func (n *Network) Delegation(ctx context.Context, apex string) (domains.DelegationState, error) {
	apex = plainName(apex)
	d := domains.DelegationState{Zone: apex}
	_, above, ok := strings.Cut(apex, ".")
	if !ok {
		return d, fault.New(fault.NotFound, "%s has no parent that could be asked", apex)
	}
	parent, err := n.parent(ctx, above)
	if err != nil {
		return d, err
	}
	d.Parent = parent.Apex
	n.askParent(ctx, parent, &d)
	servers := make([]domains.NameServer, 0, len(d.ParentNS))
	for _, name := range d.ParentNS {
		servers = append(servers, domains.NameServer{Name: name})
	}
	n.find(ctx, servers)
	var keys []*dns.DNSKEY
	for i, r := range n.askAll(ctx, servers, apex, dns.TypeNS) {
		s := domains.ServerState{Name: servers[i].Name, Addresses: servers[i].Addresses}
		switch {
		case r.err != nil:
			s.Error = r.err.Error()
		case r.msg.Rcode != dns.RcodeSuccess:
			s.Error = dns.RcodeToString[r.msg.Rcode]
		case !r.msg.Authoritative:
			s.Error = errLame.Error()
		default:
			for _, rr := range r.msg.Answer {
				if ns, ok := rr.(*dns.NS); ok && !slices.Contains(d.ZoneNS, plainName(ns.Ns)) {
					d.ZoneNS = append(d.ZoneNS, plainName(ns.Ns))
				}
			}
			if keys == nil {
				keys = n.keys(ctx, servers[i], apex)
			}
		}
		d.Servers = append(d.Servers, s)
	}
	slices.Sort(d.ZoneNS)
	d.Signed = len(keys) > 0
	d.DSMatches = matches(d.ParentDS, keys)
	return d, nil
}

// parent is Zone for names of one label too: the root serves those.
func (n *Network) parent(ctx context.Context, name string) (domains.Zone, error) {
	if strings.Contains(name, ".") {
		z, err := n.Zone(ctx, name)
		if !fault.Is(err, fault.NotFound) {
			return z, err
		}
		name = name[strings.LastIndexByte(name, '.')+1:]
	}
	reply, err := n.recurse(ctx, name, dns.TypeNS)
	if errors.Is(err, errNoName) {
		return domains.Zone{}, fault.New(fault.NotFound, "there is no zone %s", name)
	}
	if err != nil {
		return domains.Zone{}, err
	}
	z := domains.Zone{Apex: name}
	for _, rr := range reply.Answer {
		if ns, ok := rr.(*dns.NS); ok && len(z.Servers) < maxServers {
			z.Servers = append(z.Servers, domains.NameServer{Name: plainName(ns.Ns)})
		}
	}
	n.find(ctx, z.Servers)
	return z, nil
}

// askParent asks the parent's servers, one after the other until one answers, for
// the delegation and the DS. A referral has the names in its authority section.
func (n *Network) askParent(ctx context.Context, parent domains.Zone, d *domains.DelegationState) {
	for _, server := range parent.Servers {
		r := n.askServer(ctx, server, d.Zone, dns.TypeNS)
		if r.err != nil || r.msg.Rcode != dns.RcodeSuccess && r.msg.Rcode != dns.RcodeNameError {
			continue
		}
		for _, rr := range append(slices.Clone(r.msg.Answer), r.msg.Ns...) {
			if ns, ok := rr.(*dns.NS); ok && plainName(ns.Hdr.Name) == d.Zone && len(d.ParentNS) < maxServers {
				d.ParentNS = append(d.ParentNS, plainName(ns.Ns))
			}
		}
		slices.Sort(d.ParentNS)
		d.ParentNS = slices.Compact(d.ParentNS)
		d.Asked = r.server
		if r = n.askServer(ctx, server, d.Zone, dns.TypeDS); r.err == nil {
			for _, rr := range r.msg.Answer {
				if ds, ok := rr.(*dns.DS); ok && len(d.ParentDS) < maxAnswers {
					d.ParentDS = append(d.ParentDS, dsText(ds))
				}
			}
			slices.Sort(d.ParentDS)
		}
		return
	}
}

func dsText(ds *dns.DS) string {
	return fmt.Sprintf("%d %d %d %s", ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToUpper(ds.Digest))
}

func (n *Network) keys(ctx context.Context, server domains.NameServer, apex string) []*dns.DNSKEY {
	r := n.askServer(ctx, server, apex, dns.TypeDNSKEY)
	if r.err != nil {
		return nil
	}
	var keys []*dns.DNSKEY
	for _, rr := range r.msg.Answer {
		if key, ok := rr.(*dns.DNSKEY); ok && len(keys) < maxAnswers {
			keys = append(keys, key)
		}
	}
	return keys
}

// matches reports whether one of the DS records is that of one of the keys: then
// the chain of trust holds (RFC 4035 section 5.2).
func matches(ds []string, keys []*dns.DNSKEY) bool {
	for _, key := range keys {
		for _, digest := range []uint8{dns.SHA256, dns.SHA384, dns.SHA1} {
			if made := key.ToDS(digest); made != nil && slices.Contains(ds, dsText(made)) {
				return true
			}
		}
	}
	return false
}
