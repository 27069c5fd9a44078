package zones

import (
	"context"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
)

// DNAME (RFC 6672) redirects every name below its owner, and so nothing can be
// there; beside it stands anything but a CNAME and, except at the apex, NS.

// redirected refuses a set that a DNAME would hide, and a DNAME that would hide
// sets.
func (s *Service) redirected(ctx context.Context, z Zone, owner, typ string) error {
	there := func(owner, typ string) (bool, error) {
		_, err := s.set(ctx, z, owner, typ)
		if fault.Is(err, fault.NotFound) {
			return false, nil
		}
		return err == nil, err
	}
	if other := map[string]string{"DNAME": "NS", "NS": "DNAME"}[typ]; other != "" && owner != "@" {
		if both, err := there(owner, other); err != nil {
			return err
		} else if both {
			return delegatedDNAME(FullName(owner, z.Name)).in("/type")
		}
	}
	for up, more := above(owner); more; up, more = above(up) {
		if hidden, err := there(up, "DNAME"); err != nil {
			return err
		} else if hidden {
			return hiddenBy(FullName(owner, z.Name), FullName(up, z.Name)).in("/name")
		}
	}
	if typ != "DNAME" {
		return nil
	}
	full := FullName(owner, z.Name)
	if c, bad := hidesServer(z, owner); bad {
		return c.in("/name")
	}
	sets, err := s.all(ctx, z)
	if err != nil {
		return err
	}
	for _, r := range sets {
		if other, typ, _, err := ParseRRsetName(r.Name); err == nil && under(other, owner) {
			return hides(full, FullName(other, z.Name)+" "+typ).in("/name")
		}
	}
	return nil
}

// hidesServer reports whether a DNAME would hide one of the zone's own name servers.
func hidesServer(z Zone, owner string) (clash, bool) {
	full := FullName(owner, z.Name)
	for _, server := range z.Status.NameServers {
		if strings.HasSuffix(strings.TrimSuffix(server, "."), "."+full) {
			return clash{hides(full, server), "name", ""}, true
		}
	}
	return clash{}, false
}

// above is the owner above one, "@" last; false when there is none.
func above(owner string) (string, bool) {
	if owner == "@" {
		return "", false
	}
	if next, last := dns.NextLabel(owner, 0); !last {
		return owner[next:], true
	}
	return "@", true
}

// under reports whether an owner is below another.
func under(owner, up string) bool {
	for n, more := above(owner); more; n, more = above(n) {
		if n == up {
			return true
		}
	}
	return false
}

// reason is why sets cannot be there together.
type reason struct{ detail, fix string }

func (r reason) in(pointer string) error { return fault.InvalidField(pointer, r.detail, r.fix) }

func delegatedDNAME(full string) reason {
	return reason{fmt.Sprintf("%s would be delegated and redirected: NS and DNAME stand together at the apex only (RFC 6672 section 2.3)", full), "keep one of them"}
}

func hiddenBy(full, dname string) reason {
	return reason{fmt.Sprintf("everything below %s is redirected by its DNAME, %s too (RFC 6672 section 2.4)", dname, full), "write the record where the DNAME leads, or remove the DNAME"}
}

func hides(full, what string) reason {
	return reason{fmt.Sprintf("a DNAME redirects everything below %s, where %s is (RFC 6672 section 2.4)", full, what), "remove what is below, or write a CNAME for each name"}
}

// redirectedAbove is the owner of the DNAME that hides an owner, "" when none does.
func (c *content) redirectedAbove(owner string) string {
	for up, more := above(owner); more; up, more = above(up) {
		if _, there := c.sets[up]["DNAME"]; there {
			return up
		}
	}
	return ""
}
