package zones

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones/build"
	"github.com/edgewright/edgewright/control/zones/transfer"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
)

// asItStands is the version of a secondary zone that is served as its primary has
// it: records, signatures and serial.
type asItStands struct {
	digest string // of the copy
	head   edgeconfig.Zone
	bodies [][]byte
	sets   int
	maxTTL uint32
	until  time.Time // of the primary's signatures
}

// signedCopy is what a secondary zone that is signed here was last made of.
type signedCopy struct {
	digest string
	soa    edgeconfig.SOA
	names  []edgeconfig.ZoneName
}

// secondary makes the version of a zone that comes from its primaries.
func (l *look) secondary(ctx context.Context) error {
	c := l.status.Copy
	l.transferred(c)
	if c == nil || c.Digest == "" {
		l.condition(Served, resource.False, "Waiting", "the zone has not come from its primary yet")
		l.condition(Signed, resource.False, "NotSigned", "")
		l.status.Serial, l.status.Content, l.status.Records, l.status.Problems = 0, "", 0, nil
		l.r.service.made.remove(l.z.ID)
		return nil
	}
	var err error
	if l.z.Spec.DNSSEC.Enabled || len(l.status.Keys.Keys) > 0 {
		if err = l.advance(ctx); err != nil {
			return err
		}
		err = l.signCopy(ctx, c.Digest)
	} else {
		err = l.passCopy(ctx, c.Digest)
	}
	if e, is := err.(*transfer.Error); is {
		// It was taken over when it could be served, and how it is served has changed.
		l.condition(Records, resource.False, string(e.Reason), e.Message+": "+e.Fix)
		return nil
	}
	return err
}

// transferred says how the copy stands.
func (l *look) transferred(c *Copy) {
	switch {
	case c == nil:
		l.condition(Transferred, resource.False, "Waiting", "no primary has been asked yet")
	case c.Expired:
		l.condition(Transferred, resource.False, "Expired", fmt.Sprintf("no primary has answered since %s, so the zone is answered no more (SERVFAIL): %s. %s", stamp(c.CheckedAt), c.Error, c.Fix))
	case c.Digest == "" && c.Failures > 0:
		l.condition(Transferred, resource.False, c.Reason, c.Error+": "+c.Fix)
	case c.Digest == "":
		l.condition(Transferred, resource.False, "Waiting", "no primary has been asked yet")
	case c.Failures > 0:
		l.condition(Transferred, resource.Unknown, c.Reason, fmt.Sprintf("%s: %s. The copy holds until %s", c.Error, c.Fix, stamp(c.ExpiresAt)))
	default:
		l.condition(Transferred, resource.True, "Current", "")
	}
}

func stamp(at *time.Time) string {
	if at == nil {
		return "the beginning"
	}
	return at.UTC().Format(time.RFC3339)
}

// passCopy serves the zone as its primary has it.
func (l *look) passCopy(ctx context.Context, digest string) error {
	m := l.m
	if m.zone != nil || m.signedCopy != nil {
		l.m.forget()
	}
	if m.asIs == nil || m.asIs.digest != digest {
		content, err := l.r.service.content(ctx, l.z.ID)
		if err != nil {
			return err
		}
		s, err := content.Serve(false)
		if err != nil {
			return err
		}
		made := &asItStands{digest: digest, until: s.SignedUntil}
		made.head = edgeconfig.Zone{ID: l.z.ID, Project: l.z.Project, Environment: l.z.Environment, Name: l.z.Name, SOA: s.SOA, SOASigs: s.SOASigs, Denial: s.Denial}
		for _, n := range s.Names {
			for i := range n.Sets {
				made.sets++
				made.maxTTL = max(made.maxTTL, n.Sets[i].TTL)
			}
		}
		made.bodies, err = edgeconfig.SplitZone(&made.head, s.Names, s.NSEC3, l.status.Parts)
		if fault.Is(err, fault.TooLarge) {
			return &transfer.Error{Reason: transfer.TooLarge, Message: err.Error(), Fix: "split the zone at its primary"}
		}
		if err != nil {
			return err
		}
		m.asIs = made
	}
	m.apex, m.project, m.env = l.z.Name, l.z.Project, l.z.Environment
	a := m.asIs
	if print := "copy/" + digest; l.status.Content != print || l.status.Serial != a.head.SOA.Serial {
		l.status.Content, l.status.Serial = print, a.head.SOA.Serial
		at := l.now
		l.status.MadeAt = &at
	}
	m.serial = l.status.Serial
	switch {
	case a.head.Denial == edgeconfig.DenialNone:
		l.condition(Signed, resource.False, "NotSigned", "")
	case l.now.After(a.until):
		l.condition(Signed, resource.False, "SignaturesExpired", "signatures of the primary have ended at "+a.until.Format(time.RFC3339)+": have it sign the zone anew")
	default:
		l.condition(Signed, resource.True, "ByPrimary", "")
		l.again(a.until.Add(time.Second))
	}
	l.status.Parts, l.status.Records, l.status.MaxTTL, l.status.Problems = a.head.Parts, a.sets, int(a.maxTTL), nil
	head := a.head
	if err := l.publish(ctx, head, a.bodies, nil); err != nil {
		return err
	}
	return l.leftAside(ctx)
}

// signCopy signs the zone here, with keys and a serial of our own.
func (l *look) signCopy(ctx context.Context, digest string) error {
	m := l.m
	if m.zone != nil && m.signedCopy == nil {
		m.forget()
	}
	m.asIs = nil
	if m.zone == nil {
		zone, err := build.New(l.z.ID, l.z.Name, l.status.Parts)
		if err != nil {
			return err
		}
		m.zone, m.signedCopy = zone, &signedCopy{}
	}
	m.apex, m.project, m.env = l.z.Name, l.z.Project, l.z.Environment
	if m.signedCopy.digest != digest {
		content, err := l.r.service.content(ctx, l.z.ID)
		if err != nil {
			return err
		}
		s, err := content.Serve(true)
		if err != nil {
			return err
		}
		for owner, sets := range transfer.Owners(m.signedCopy.names, s.Names) {
			if err := m.zone.Set(owner, sets); err != nil {
				m.forget() // half of it was set
				return err
			}
		}
		m.signedCopy = &signedCopy{digest: digest, soa: s.SOA, names: s.Names}
	}
	how, err := l.signing(ctx)
	if err != nil {
		return err
	}
	soa := m.signedCopy.soa
	draft, err := m.zone.Build(how, min(soa.TTL, soa.Minimum), l.now)
	if err != nil {
		return err
	}
	m.problems = map[string][]string{}
	m.checks = map[string][]edgeconfig.Check{}
	if err := l.seal(ctx, draft, soa); err != nil {
		return err
	}
	return l.leftAside(ctx)
}

// forget lets go of what versions were made of; they are made anew.
func (m *made) forget() {
	m.zone, m.asIs, m.signedCopy = nil, nil, nil
	m.problems, m.checks = map[string][]string{}, map[string][]edgeconfig.Check{}
}

// leftAside says that records set here are not in the zone. Use cases refuse
// them; a declaration of everything may hold some all the same.
func (l *look) leftAside(ctx context.Context) error {
	sets, _, err := l.r.service.ListRRsets(ctx, l.z.Project, l.z.Environment, l.z.Name, 1, "")
	if err != nil {
		return err
	}
	if len(sets) > 0 {
		l.condition(Records, resource.False, "Secondary", "records were set here, and are left out, "+sets[0].Name+" among them: the zone is a secondary, change records at "+primariesOf(l.z))
		return nil
	}
	l.condition(Records, resource.True, "All", "")
	return nil
}

// publish gives a version away, with what its head says of transfers.
func (l *look) publish(ctx context.Context, head edgeconfig.Zone, bodies [][]byte, checks []edgeconfig.Check) error {
	var trouble []string
	var err error
	if head.Transfer, trouble, err = l.r.service.given(ctx, l.z); err != nil {
		return err
	}
	z := l.z
	z.Status.Copy = l.status.Copy
	if head.Secondary, err = l.r.service.heard(ctx, z); err != nil {
		return err
	}
	if err := edgeconfig.ValidateZone(&head); err != nil {
		return err
	}
	switch {
	case l.z.Spec.Transfer == nil:
		l.status.Conditions = slices.DeleteFunc(l.status.Conditions, func(c resource.Condition) bool { return c.Type == Shared })
	case len(trouble) > 0:
		l.condition(Shared, resource.False, "LeftOut", strings.Join(trouble, "; "))
	default:
		l.condition(Shared, resource.True, "Given", "")
	}
	if l.z.Spec.Secondary == nil {
		l.status.Conditions = slices.DeleteFunc(l.status.Conditions, func(c resource.Condition) bool { return c.Type == Transferred })
	}
	another := l.r.service.made.put(l.z.ID, Version{Head: head, Parts: bodies, Checks: checks})
	if l.r.service.made.wanted(l.z.ID) || another {
		at := l.now.Add(time.Duration(l.r.service.Now().Nanosecond())) // another value, so that the write is an event
		l.status.MadeAt = &at
	}
	if head.Secondary != nil && head.Secondary.Expired {
		l.condition(Served, resource.False, "Expired", "the copy of the zone has expired: edges answer SERVFAIL")
	} else {
		l.condition(Served, resource.True, "Made", "")
	}
	return nil
}
