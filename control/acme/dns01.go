package acme

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/fault"
)

// TXTPresenter writes into DNS.
type TXTPresenter interface {
	// PresentTXT adds a TXT record beside those that are there, or leaves it as it
	// is. It returns when the record is on its way.
	PresentTXT(ctx context.Context, fqdn, value string) error
	// RemoveTXT takes the record away again. That it is gone already is no error.
	RemoveTXT(ctx context.Context, fqdn, value string) error
}

// TXTChooser finds who can write in the DNS of a name for a project: managed
// zones, provider credentials, the platform's own zone.
type TXTChooser interface {
	// ChooseTXT returns the presenter for a record. name is the one that the
	// certificate is for, fqdn where its challenge has to stand after CNAMEs were
	// followed. Errors: NotFound when this is not its own.
	ChooseTXT(ctx context.Context, project, environment, name, fqdn string) (TXTPresenter, error)
}

// Resolver looks into public DNS; preflight.Resolver is one.
type Resolver interface {
	// CNAME returns where a name points, "" when it has no CNAME.
	CNAME(ctx context.Context, name string) (string, error)
	TXT(ctx context.Context, name string) ([]string, error)
}

const (
	maxCNAMEs        = 8
	txtTimeout       = time.Minute      // to write a record
	visibleTimeout   = 90 * time.Second // until resolvers have it
	visibleEvery     = 2 * time.Second
	challengeLabel   = "_acme-challenge."
	delegationLabels = 26 // of base32: 130 bits
)

// Delegated lets names whose _acme-challenge is a CNAME into the platform's own
// zone be proved there, so that a foreign zone needs one record, once.
type Delegated struct {
	Zone      string // below which the records stand: "acme.edge.example.com"
	Presenter TXTPresenter
}

// Target is where _acme-challenge.<name> has to point. It differs for each
// project, so that nobody can have another's name proved by pointing at it.
func (d Delegated) Target(project, name string) string {
	sum := sha256.Sum256([]byte("edgewright acme delegation\n" + project + "\n" + strings.TrimPrefix(name, "*.")))
	label := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
	return label[:delegationLabels] + "." + strings.TrimSuffix(d.Zone, ".")
}

// ChooseTXT implements TXTChooser.
func (d Delegated) ChooseTXT(_ context.Context, project, _, name, fqdn string) (TXTPresenter, error) {
	if !strings.EqualFold(strings.TrimSuffix(fqdn, "."), d.Target(project, name)) {
		return nil, fault.New(fault.NotFound, "%s is not delegated to %s", fqdn, d.Target(project, name))
	}
	return d.Presenter, nil
}

// txtPlace is where a challenge has to stand, and who writes it.
type txtPlace struct {
	fqdn      string
	presenter TXTPresenter
}

// txtFor finds who can write the challenge of a name. Errors: NotFound when
// nobody can.
func (c *Client) txtFor(ctx context.Context, project, environment, name string) (txtPlace, error) {
	if len(c.options.TXT) == 0 {
		return txtPlace{}, fault.New(fault.NotFound, "this platform writes in no DNS")
	}
	fqdn := challengeLabel + strings.TrimPrefix(name, "*.")
	for range maxCNAMEs {
		if c.options.Resolver == nil {
			break
		}
		target, err := c.options.Resolver.CNAME(ctx, fqdn)
		if err != nil {
			return txtPlace{}, fault.New(fault.Unavailable, "where %s leads could not be looked up: %w", fqdn, err)
		}
		if target == "" {
			break
		}
		fqdn = strings.TrimSuffix(strings.ToLower(target), ".")
	}
	presenter, err := c.chooseTXT(ctx, project, environment, name, fqdn)
	return txtPlace{fqdn, presenter}, err
}

// chooseTXT finds who can write a record. Errors: NotFound when nobody can.
func (c *Client) chooseTXT(ctx context.Context, project, environment, name, fqdn string) (TXTPresenter, error) {
	for _, chooser := range c.options.TXT {
		presenter, err := chooser.ChooseTXT(ctx, project, environment, name, fqdn)
		if err == nil || !fault.Is(err, fault.NotFound) {
			return presenter, err
		}
	}
	return nil, fault.New(fault.NotFound, "nobody here can write %s", fqdn)
}

func notWritten(name string, err error) error {
	return &certificates.IssueError{Away: true, Err: err, Problem: certificates.Problem{
		Reason: "DNSNotWritten", Subject: name, Message: fmt.Sprintf("the challenge of %s could not be written into DNS: %s", name, err),
		Fix: "look at the zone and at the provider's credentials",
	}}
}

// placeTXT finds out where the answers of DNS-01 have to stand, and has that
// kept before any is written.
func (c *Client) placeTXT(ctx context.Context, proofs []*proof, o *certificates.Order) error {
	known := len(o.Pending.Records)
	for _, p := range proofs {
		if p.challenge.Type != acme.ChallengeTypeDNS01 {
			continue
		}
		name := p.authorization.IdentifierValue()
		place, err := c.txtFor(ctx, o.Project, o.Environment, name)
		if err != nil {
			return notWritten(name, err)
		}
		p.record, p.presenter = &certificates.ProofRecord{Name: name, At: place.fqdn, Value: p.challenge.DNS01KeyAuthorization()}, place.presenter
		if !slices.Contains(o.Pending.Records, *p.record) {
			o.Pending.Records = append(slices.Clone(o.Pending.Records), *p.record)
		}
	}
	if o.Keep == nil || len(o.Pending.Records) == known {
		return nil
	}
	return o.Keep(o.Pending)
}

// presentTXT writes the answer of a DNS-01 challenge.
func (c *Client) presentTXT(ctx context.Context, p *proof) error {
	writing, cancel := context.WithTimeout(ctx, txtTimeout)
	defer cancel()
	c.written.Store(*p.record, p.presenter)
	if err := p.presenter.PresentTXT(writing, p.record.At, p.record.Value); err != nil {
		return notWritten(p.record.Name, err)
	}
	return nil
}

// clear takes the records of an order back, except those that have to stay, and
// has kept which are left.
func (c *Client) clear(ctx context.Context, o *certificates.Order, stay []certificates.ProofRecord) {
	var left []certificates.ProofRecord
	for _, r := range o.Pending.Records {
		if !slices.Contains(stay, r) {
			err := c.removeTXT(ctx, o, r)
			if err == nil {
				continue
			}
			c.options.Logger.Warn("a challenge could not be taken back", "record", r.At, "error", err)
		}
		left = append(left, r)
	}
	changed := len(left) != len(o.Pending.Records)
	if o.Pending.Records = left; changed && o.Keep != nil && o.Pending.URL != "" {
		if err := o.Keep(o.Pending); err != nil { // they are taken back once more
			c.options.Logger.Warn("it could not be kept that a challenge was taken back", "certificate", o.ID, "error", err)
		}
	}
}

// removeTXT takes a record away, by who has written it or who would now. Where
// nobody may any more, it is somebody else's.
func (c *Client) removeTXT(ctx context.Context, o *certificates.Order, r certificates.ProofRecord) error {
	presenter, ok := c.written.Load(r)
	if !ok {
		chosen, err := c.chooseTXT(ctx, o.Project, o.Environment, r.Name, r.At)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		presenter = chosen
	}
	err := presenter.(TXTPresenter).RemoveTXT(ctx, r.At, r.Value)
	if err == nil || fault.Is(err, fault.NotFound) {
		c.written.Delete(r)
		return nil
	}
	return err
}

// awaitTXT waits until resolvers have all records. One bound is for all of them: a
// wildcard and its base have one name, and a resolver that was asked for it between
// the two would remember the first alone. That they are not seen within the bound
// is for the CA to tell: it may look elsewhere.
func (c *Client) awaitTXT(ctx context.Context, proofs []*proof) {
	if c.options.Resolver == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, visibleTimeout)
	defer cancel()
	for _, p := range proofs {
		if p.record != nil && !c.seenTXT(ctx, p.record.At, p.record.Value) {
			return
		}
	}
}

// seenTXT waits until a record is seen, or ctx ends.
func (c *Client) seenTXT(ctx context.Context, fqdn, value string) bool {
	for {
		seen, err := c.options.Resolver.TXT(ctx, fqdn)
		if err == nil && slices.Contains(seen, value) {
			return true
		}
		select {
		case <-time.After(visibleEvery):
		case <-ctx.Done():
			c.options.Logger.Warn("a challenge is not seen in DNS yet", "record", fqdn, "error", err)
			return false
		}
	}
}
