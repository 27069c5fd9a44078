package domains

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// offerLife is how long an offer stands.
const offerLife = 7 * 24 * time.Hour

// TransferSpec is the offer of one project to hand a domain to another. It is
// deleted when it is accepted or withdrawn.
type TransferSpec struct {
	Domain          string    `json:"domain"`
	DomainID        string    `json:"domain_id"`
	FromProject     string    `json:"from_project_id"`
	FromEnvironment string    `json:"from_environment"`
	ToProject       string    `json:"to_project_id"`
	Note            string    `json:"note,omitempty"`
	ExpiresAt       time.Time `json:"expires_at"`
}

// TransferOffer is an offer as stored.
type TransferOffer = resource.Object[TransferSpec, struct{}]

// TransferType is the row of offers. They are made and taken by use cases alone.
func TransferType() resource.Type {
	return resource.Type{
		Kind: KindTransfer, Prefix: "xfr", Scope: resource.ScopePlatform,
		Normalize: func(name string, raw json.RawMessage) (json.RawMessage, error) {
			var spec TransferSpec
			if err := resource.DecodeSpec(raw, &spec); err != nil {
				return nil, err
			}
			if spec.Domain != name || spec.DomainID == "" || spec.FromProject == "" || spec.ToProject == "" {
				return nil, fault.New(fault.Invalid, "an offer names its domain and both projects")
			}
			return mustJSON(spec), nil
		},
		Derived: func(json.RawMessage) bool { return true },
	}
}

// Offer offers a verified domain to another project, in place of an earlier
// offer. That project must accept it. Errors: NotFound; Invalid at /to_project_id;
// Conflict for a domain that is locked, not verified, or free to all, and while
// what goes along would take something from others (resource.Leaver).
func (s *Service) Offer(ctx context.Context, project, environment, domain, toProject, note string, cause resource.Cause) (TransferOffer, error) {
	r, err := s.current(ctx, project, environment, domain, 0)
	if err != nil {
		return TransferOffer{}, err
	}
	if toProject == project {
		return TransferOffer{}, fault.InvalidField("/to_project_id", "this project has it already", "name the project that shall get it")
	}
	if err := s.movable(ctx, r, project, environment); err != nil {
		return TransferOffer{}, err
	}
	for _, f := range s.Followers {
		if l, can := f.(resource.Leaver); can {
			if err := l.MayLeave(ctx, resource.Place{Project: project, Environment: environment}, r.Name); err != nil {
				return TransferOffer{}, err
			}
		}
	}
	spec := mustJSON(TransferSpec{
		Domain: r.Name, DomainID: r.ID, FromProject: project, FromEnvironment: environment, ToProject: toProject,
		Note: strings.TrimSpace(note), ExpiresAt: s.Now().UTC().Truncate(time.Second).Add(offerLife),
	})
	plan := resource.NewPlan(project, environment)
	plan.Reason = fmt.Sprintf("offer %s to project %s", r.Name, toProject)
	page, err := s.Store.List(ctx, resource.Query{Kind: KindTransfer, Name: r.Name, Limit: 1})
	if err != nil {
		return TransferOffer{}, err
	}
	if len(page.Items) == 0 {
		plan.Create(TransferType(), "", "", r.Name, spec)
	} else {
		plan.Update(page.Items[0], spec)
	}
	done, err := s.Store.Commit(ctx, plan.Commit(cause))
	if err != nil {
		return TransferOffer{}, err
	}
	return resource.Decode[TransferSpec, struct{}](done.Resources[0])
}

// movable refuses, as Conflict, a domain that cannot be handed over.
func (s *Service) movable(ctx context.Context, r resource.Resource, project, environment string) error {
	if isLocked(r.Spec) {
		return lockedError(r.Name, "it cannot be handed over")
	}
	held, err := s.Verified(ctx, project, environment, r.Name)
	if err != nil {
		return err
	}
	if !held {
		return fault.New(fault.Conflict, "the domain is not verified here, so there is nothing to hand over: the other project can add it and prove it").About("domain " + r.Name)
	}
	return nil
}

// Offers lists the offers that a project has made or was made and that have not
// expired, by domain.
func (s *Service) Offers(ctx context.Context, project string) ([]TransferOffer, error) {
	list := []TransferOffer{}
	q := resource.Query{Kind: KindTransfer, PlatformOnly: true, Limit: 1000}
	for {
		page, err := s.Store.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			offer, err := resource.Decode[TransferSpec, struct{}](r)
			if err != nil {
				return nil, err
			}
			if (offer.Spec.FromProject == project || offer.Spec.ToProject == project) && s.Now().Before(offer.Spec.ExpiresAt) {
				list = append(list, offer)
			}
		}
		if q.Cursor = page.Next; page.Next == "" {
			slices.SortFunc(list, func(a, b TransferOffer) int { return cmp.Compare(a.Name, b.Name) })
			return list, nil
		}
	}
}

// offer returns an offer that the project has to do with, and that stands.
func (s *Service) offer(ctx context.Context, project, id string) (TransferOffer, resource.Resource, error) {
	none := fault.New(fault.NotFound, "there is no such offer: it was accepted, withdrawn, or has expired").About("transfer " + id)
	r, err := s.Store.Get(ctx, KindTransfer, id)
	if fault.Is(err, fault.NotFound) {
		return TransferOffer{}, r, none
	}
	if err != nil {
		return TransferOffer{}, r, err
	}
	offer, err := resource.Decode[TransferSpec, struct{}](r)
	if err != nil {
		return offer, r, err
	}
	if offer.Spec.FromProject != project && offer.Spec.ToProject != project || !s.Now().Before(offer.Spec.ExpiresAt) {
		return TransferOffer{}, r, none
	}
	return offer, r, nil
}

// Withdraw ends an offer: who made it takes it back, who got it declines it.
// Errors: NotFound, Stale.
func (s *Service) Withdraw(ctx context.Context, project, id string, ifRevision int64, cause resource.Cause) (TransferOffer, error) {
	offer, r, err := s.offer(ctx, project, id)
	if err != nil {
		return offer, err
	}
	if ifRevision != 0 && r.Revision != ifRevision {
		return offer, fault.New(fault.Stale, "it is at revision %d, you saw %d: look at the offers again", r.Revision, ifRevision).About("transfer " + id)
	}
	plan := resource.NewPlan("", "")
	plan.Reason = "no transfer of " + offer.Name
	plan.Delete(r)
	_, err = s.Store.Commit(ctx, plan.Commit(cause))
	return offer, err
}

// PlanAccept plans to take over an offered domain, with its certificate, its zone
// and a copy of its CDN configuration, unless cdn names one of the taking project.
// Errors: NotFound; Invalid at /cdn; Conflict when the domain was locked or
// changed hands since, or something of its name is there already.
func (s *Service) PlanAccept(ctx context.Context, project, environment, id, cdn string) (resource.Plan, error) {
	plan, _, _, err := s.planAccept(ctx, project, environment, id, cdn)
	return plan, err
}

func (s *Service) planAccept(ctx context.Context, project, environment, id, cdn string) (resource.Plan, resource.Following, resource.Move, error) {
	plan := resource.NewPlan(project, environment)
	after := resource.Following{Status: map[string]json.RawMessage{}, Secrets: map[string]string{}}
	offer, stored, err := s.offer(ctx, project, id)
	if err != nil {
		return plan, after, resource.Move{}, err
	}
	spec := offer.Spec
	if spec.ToProject != project {
		return plan, after, resource.Move{}, fault.New(fault.Forbidden, "an offer is accepted by the project it was made to").About("transfer " + id)
	}
	move := resource.Move{Domain: spec.Domain, OldID: spec.DomainID, From: resource.Place{Project: spec.FromProject, Environment: spec.FromEnvironment}, To: resource.Place{Project: project, Environment: environment}}
	r, err := s.Store.Get(ctx, Kind, spec.DomainID)
	if fault.Is(err, fault.NotFound) {
		return plan, after, move, fault.New(fault.Conflict, "the domain was removed since it was offered").About("domain " + spec.Domain)
	}
	if err != nil {
		return plan, after, move, err
	}
	if err := s.movable(ctx, r, spec.FromProject, spec.FromEnvironment); err != nil {
		return plan, after, move, err
	}
	plan.Reason = fmt.Sprintf("transfer of %s from project %s", spec.Domain, spec.FromProject)
	old, err := s.decode(ctx, r)
	if err != nil {
		return plan, after, move, err
	}
	name, err := ParseName(spec.Domain)
	if err != nil {
		return plan, after, move, err
	}
	if err := s.planMoveCDN(ctx, &plan, &move, old.Spec.CDN, cdn); err != nil {
		return plan, after, move, err
	}
	if err := s.planMoveDomain(ctx, &plan, &move, r, old, after); err != nil {
		return plan, after, move, err
	}
	if err := s.planMoveClaim(ctx, &plan, name, move); err != nil {
		return plan, after, move, err
	}
	for _, f := range s.Followers {
		more, err := f.Follow(ctx, &plan, move)
		if err != nil {
			return plan, after, move, err
		}
		for id, status := range more.Status {
			after.Status[id] = status
		}
		for fresh, old := range more.Secrets {
			after.Secrets[fresh] = old
		}
	}
	plan.Delete(stored)
	return plan, after, move, s.warnBelow(ctx, &plan, move)
}

// planMoveDomain replaces the domain by one of the taking project, which may have
// added it already, unverified.
func (s *Service) planMoveDomain(ctx context.Context, plan *resource.Plan, move *resource.Move, r resource.Resource, old Domain, after resource.Following) error {
	spec := old.Spec
	spec.CDN, spec.DNSAccount = move.CDN, ""
	if spec.DNS == DNSProvider {
		spec.DNS = "" // the credentials stay behind
	}
	proof := Token{Value: old.Status.VerificationToken}
	if f := old.Status.File; f != nil {
		proof.URL, proof.Content = f.URL, f.Content
	}
	const keep = 3
	former := append([]Token{proof}, old.Status.Former...)
	former = former[:min(len(former), keep)]
	plan.Delete(r)
	placements, err := s.placementsOf(ctx, move.From.Project, move.From.Environment, r.Name)
	if err != nil {
		return err
	}
	for _, p := range placements { // what is at a provider goes on serving, and is no longer ours to remove
		plan.Delete(p)
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("the records that project %s has set at a DNS provider stay as they are", move.From.Project))
	}
	there, err := s.find(ctx, move.To.Project, move.To.Environment, r.Name)
	if err == nil {
		d, err := Decode(there)
		if err != nil {
			return err
		}
		if isLocked(there.Spec) {
			return lockedError(there.Name, "it cannot be replaced by the one on offer")
		}
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s is here already, unverified: the one on offer takes its place", r.Name))
		spec.Labels, spec.Method = d.Spec.Labels, d.Spec.Method
		plan.Delete(there)
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	plan.Create(Type(), move.To.Project, move.To.Environment, r.Name, spec.encode())
	move.NewID = plan.Actions[len(plan.Actions)-1].ID
	st := Status{
		Verified: true, Method: old.Status.Method, VerifiedAt: old.Status.VerifiedAt, ProvenAt: old.Status.ProvenAt, Former: former,
		Registry: old.Status.Registry,
	}
	st.Note(s.Now(), EventTransferred, Info, fmt.Sprintf("%s came from project %s", r.Name, move.From.Project), map[string]string{"from_project_id": move.From.Project})
	after.Status[move.NewID] = mustJSON(st)
	return nil
}

// planMoveClaim gives the claim to the new domain, where it may have it: below
// names of the two projects only.
func (s *Service) planMoveClaim(ctx context.Context, plan *resource.Plan, name Name, move resource.Move) error {
	if err := s.checkPlatform(name); err != nil {
		return err
	}
	for _, above := range name.above(s.platform.ASCII) {
		claim, err := s.claimOf(ctx, above)
		if fault.Is(err, fault.NotFound) || err == nil && (claim.Spec.Project == move.From.Project || claim.Spec.Project == move.To.Project) {
			continue
		}
		if err != nil {
			return err
		}
		return fault.New(fault.Conflict, "a third project has verified %s, and decides about the names below it", above).About("domain " + name.ASCII)
	}
	r, err := s.findClaim(ctx, name.ASCII)
	if err != nil {
		return err
	}
	claim, err := DecodeClaim(r)
	if err != nil {
		return err
	}
	spec := claim.Spec
	spec.DomainID, spec.Project, spec.Environment = move.NewID, move.To.Project, move.To.Environment
	plan.Update(r, mustJSON(spec))
	return nil
}

// planMoveCDN finds the configuration that the domain will use: one that the
// taking project names, else a copy of the one it has, under the domain's name.
// One that served this domain alone goes with it.
func (s *Service) planMoveCDN(ctx context.Context, plan *resource.Plan, move *resource.Move, has, wants string) error {
	if wants != "" {
		there, err := s.CDNs.Exists(ctx, move.To.Project, move.To.Environment, wants)
		if err != nil {
			return err
		}
		if !there {
			return fault.InvalidField("/cdn", fmt.Sprintf("there is no CDN configuration %q in this environment", wants), "name one that is there, or leave it out to get a copy")
		}
		move.CDN = wants
	}
	page, err := s.Store.List(ctx, resource.Query{Kind: kindCDN, Project: move.From.Project, Environment: move.From.Environment, Name: has, Limit: 1})
	if err != nil {
		return err
	}
	if len(page.Items) == 0 {
		move.CDN = cmp.Or(move.CDN, defaultCDN)
		plan.Warnings = append(plan.Warnings, "the domain had no CDN configuration: nothing is served until it has one")
		return nil
	}
	conf := page.Items[0]
	if move.CDN == "" {
		move.CDN = move.Domain
		there, err := s.CDNs.Exists(ctx, move.To.Project, move.To.Environment, move.CDN)
		if err != nil {
			return err
		}
		if there {
			return fault.New(fault.Conflict, "this environment has a CDN configuration %q already: name the one to use as cdn", move.CDN).About("domain " + move.Domain)
		}
		plan.Create(resource.Type{Kind: kindCDN, Prefix: "cdn"}, move.To.Project, move.To.Environment, move.CDN, conf.Spec)
	}
	if conf.Name != move.Domain {
		return nil // it was not made for this domain
	}
	users, err := Users{s.Store}.UsersOfCDN(ctx, move.From.Project, move.From.Environment, conf.Name, 2)
	if err == nil && len(users) == 1 && users[0] == move.Domain {
		plan.Delete(conf)
	}
	return err
}

// warnBelow tells of names below the domain that stay where they are.
func (s *Service) warnBelow(ctx context.Context, plan *resource.Plan, move resource.Move) error {
	var stay []string
	q := resource.Query{Kind: KindClaim, PlatformOnly: true, Limit: 1000}
	base := strings.TrimPrefix(move.Domain, "*.")
	for {
		page, err := s.Store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			claim, err := DecodeClaim(r)
			if err != nil {
				return err
			}
			if claim.Spec.Project == move.From.Project && r.Name != move.Domain && strings.HasSuffix(r.Name, "."+base) {
				stay = append(stay, r.Name)
			}
		}
		if q.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	if len(stay) > 0 {
		slices.Sort(stay)
		list := strings.Join(stay[:min(len(stay), 5)], ", ")
		if more := len(stay) - 5; more > 0 {
			list += fmt.Sprintf(" and %d more", more)
		}
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s stay with project %s: they are transferred one by one", list, move.From.Project))
	}
	return nil
}

// Accept takes over an offered domain in one commit: it, its claim, certificate,
// zone and CDN configuration change hands together, and the edges go on serving.
// Errors: those of PlanAccept; Stale when something moved meanwhile.
func (s *Service) Accept(ctx context.Context, project, environment, id, cdn string, cause resource.Cause) (Domain, error) {
	plan, after, move, err := s.planAccept(ctx, project, environment, id, cdn)
	if err != nil {
		return Domain{}, err
	}
	for fresh, old := range after.Secrets {
		secret, err := s.Vault.Secret(ctx, old)
		if err == nil {
			err = s.Vault.PutSecret(ctx, fresh, secret)
		}
		if err != nil {
			return Domain{}, err
		}
	}
	commit := plan.Commit(cause)
	for i, ch := range commit.Changes {
		if ch.Op == resource.Create {
			commit.Changes[i].Status = after.Status[ch.ID]
		}
	}
	if _, err := s.Store.Commit(ctx, commit); err != nil {
		return Domain{}, err
	}
	if err := s.spend(ctx, move.OldID); err != nil {
		return Domain{}, err
	}
	d, err := s.Get(ctx, project, environment, move.Domain)
	if err != nil {
		return d, err
	}
	return s.refresh(ctx, d, checkNothing)
}
