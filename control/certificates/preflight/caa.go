package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

// caa looks whether the CA may issue for the name (RFC 8659).
func (l *look) caa(ctx context.Context, base string) {
	records, at, err := l.relevant(ctx, base)
	if fault.Is(err, fault.Unavailable) || err != nil && ctx.Err() != nil {
		l.add(certificates.CheckCAA, certificates.CheckUnknown, "", "the resolvers gave no answer: "+err.Error(), "")
		return
	}
	if err != nil {
		// A CA must not issue then (RFC 8659 section 3).
		l.challenges = nil
		l.add(certificates.CheckCAA, certificates.CheckFailed, "CAALookupFailed", fmt.Sprintf("the CAA records of %s cannot be looked up: %s", base, err), "look at the zone's name servers: they have to answer for CAA, be it with nothing")
		return
	}
	if len(records) == 0 {
		l.add(certificates.CheckCAA, certificates.CheckPassed, "", "no CAA record restricts it", "")
		return
	}
	if len(l.request.Identities) == 0 {
		l.add(certificates.CheckCAA, certificates.CheckUnknown, "", fmt.Sprintf("there are CAA records at %s, and how the CA is named in them is not known", at), "")
		return
	}
	v := judge(records, strings.HasPrefix(l.name, "*."), l.request.Identities, l.request.AccountURI)
	fix := fmt.Sprintf("add the record %s CAA 0 issue %q", at, l.request.Identities[0])
	if v.unknown != "" {
		l.challenges = nil
		l.add(certificates.CheckCAA, certificates.CheckFailed, "CAAForbids", fmt.Sprintf("the CAA record %q at %s is critical, and CAs that do not know it must refuse", v.unknown, at), "take its critical flag away")
		return
	}
	if !v.restricted {
		l.add(certificates.CheckCAA, certificates.CheckPassed, "", fmt.Sprintf("the CAA records at %s restrict nothing here", at), "")
		return
	}
	if !v.allowed {
		l.challenges = nil
		detail := fmt.Sprintf("the CAA records at %s do not allow %s", at, l.request.Identities[0])
		if v.otherAccount {
			detail = fmt.Sprintf("the CAA records at %s allow %s for another account only", at, l.request.Identities[0])
			fix = fmt.Sprintf("add the record %s CAA 0 issue \"%s; accounturi=%s\"", at, l.request.Identities[0], l.request.AccountURI)
		}
		l.add(certificates.CheckCAA, certificates.CheckFailed, "CAAForbids", detail, fix)
		return
	}
	if v.methods != nil {
		gone := slices.DeleteFunc(slices.Clone(l.challenges), func(ch certificates.Challenge) bool { return slices.Contains(v.methods, string(ch)) })
		if len(gone) > 0 {
			l.without(certificates.CheckCAA, "CAAForbids", fmt.Sprintf("the CAA records at %s allow only the challenges %s", at, strings.Join(v.methods, ", ")),
				"add one that works here to validationmethods", gone...)
			return
		}
	}
	l.add(certificates.CheckCAA, certificates.CheckPassed, "", fmt.Sprintf("the CAA records at %s allow it", at), "")
}

// relevant climbs from a name to the first that has CAA records (RFC 8659
// section 3).
func (c *Checker) relevant(ctx context.Context, name string) (records []*dns.CAA, at string, err error) {
	for at = name; at != ""; _, at, _ = strings.Cut(at, ".") {
		reply, err := c.Resolver.ask(ctx, at, dns.TypeCAA, false)
		if err == nil {
			err = settled(reply, at)
		}
		if err != nil {
			return nil, at, err
		}
		if records = found[*dns.CAA](reply); len(records) > 0 {
			return records, at, nil
		}
	}
	return nil, "", nil
}

// verdict is what a set of CAA records says of one CA.
type verdict struct {
	restricted   bool
	allowed      bool
	otherAccount bool     // the CA would be allowed by another account
	methods      []string // nil: any
	unknown      string   // a critical property that nobody knows
}

// judge reads a set of CAA records. It is pure.
func judge(records []*dns.CAA, wildcard bool, identities []string, account string) verdict {
	var v verdict
	tag := "issue"
	for _, rr := range records {
		switch strings.ToLower(rr.Tag) {
		case "issue", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone":
		case "issuewild":
			if wildcard {
				tag = "issuewild"
			}
		default:
			if rr.Flag&128 != 0 {
				v.unknown = rr.Tag
				return v
			}
		}
	}
	any := false
	for _, rr := range records {
		if strings.ToLower(rr.Tag) != tag {
			continue
		}
		v.restricted = true
		issuer, parameters := parseCAA(rr.Value)
		if !slices.Contains(identities, issuer) {
			continue
		}
		if uri, ok := parameters["accounturi"]; ok && account != "" && uri != account {
			v.otherAccount = true
			continue
		}
		v.allowed = true
		methods, ok := parameters["validationmethods"]
		if !ok {
			any = true
			continue
		}
		for m := range strings.SplitSeq(methods, ",") {
			v.methods = append(v.methods, strings.ToLower(strings.TrimSpace(m)))
		}
	}
	if any {
		v.methods = nil
	}
	return v
}

// parseCAA splits an issue property into the CA's name and parameters (RFC 8659
// section 4.2). The name is lower-case, "" for one that allows nobody.
func parseCAA(value string) (issuer string, parameters map[string]string) {
	parts := strings.Split(value, ";")
	parameters = map[string]string{}
	for _, part := range parts[1:] {
		if k, v, ok := strings.Cut(part, "="); ok {
			parameters[strings.ToLower(strings.TrimSpace(k))] = strings.TrimSpace(v)
		}
	}
	return strings.ToLower(strings.TrimSpace(parts[0])), parameters
}
