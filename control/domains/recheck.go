package domains

import (
	"context"
	"fmt"
	"time"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

// How the proof of a verified domain is watched.
const (
	recheckEvery = 24 * time.Hour      // while it is there, give or take a tenth
	recheckLost  = time.Hour           // while it is gone
	graceTime    = 14 * 24 * time.Hour // from the first look that missed it to the release of the claim
)

// proofState is what a look at the proof of a verified domain found.
type proofState int

const (
	proofNotLooked proofState = iota
	proofThere
	proofGone    // everybody who could tell says that it is not there
	proofUnclear // nobody could tell
)

// lookAgain looks whether the proof of a verified domain is still there. The one
// that gave the claim and the other both count.
func (s *Service) lookAgain(ctx context.Context, d Domain, name Name, f *finding) proofState {
	if d.Status.Method == MethodEmail {
		f.checked = true
		if d.Status.ProvenAt != nil && s.Now().Before(d.Status.ProvenAt.Add(emailLife)) {
			return proofThere
		}
		f.reason, f.message = "MailTooOld", "the confirmation by mail is more than a year old: ask for a new mail and confirm it"
		return proofGone
	}
	proven := s.look(ctx, d, name, checkBoth, f)
	if d.Status.Method == MethodFile && f.file != nil && proven == "" && f.reason != "LookupFailed" {
		f.reason, f.message = "FileNotFound", fmt.Sprintf("the file at %s was not found: %s", f.file.URL, f.file.Error)
	}
	switch {
	case proven != "":
		return proofThere
	case f.reason == "LookupFailed" || f.reason == "Spreading":
		return proofUnclear
	case d.Status.Method == MethodFile && !f.fileGone:
		return proofUnclear // the server could not be reached, which proves nothing
	default:
		return proofGone
	}
}

// recordProof writes into the status of a verified domain what a look at its
// proof found.
func (s *Service) recordProof(d *Domain, f finding, now time.Time) {
	st := &d.Status
	if f.method == MethodNotRequired {
		st.ProvenAt, st.RecheckAt, st.LostAt, st.ReleaseAt = nil, nil, nil, nil
		return
	}
	if st.ProvenAt == nil {
		st.ProvenAt = &now
	}
	set := func(status resource.ConditionStatus, reason, message string) {
		st.Conditions = resource.SetCondition(st.Conditions, resource.Condition{Type: Proof, Status: status, Reason: reason, Message: message, Since: now})
	}
	next := func(after time.Duration) {
		at := now.Add(after)
		st.RecheckAt = &at
	}
	switch f.again {
	case proofNotLooked:
		if st.RecheckAt == nil {
			next(s.spread(recheckEvery))
			set(resource.True, "Found", "it was seen when the domain was verified")
		}
	case proofThere:
		if st.LostAt != nil {
			st.Note(now, EventProofRestored, Info, "the proof that "+d.Name+" is yours is back", nil)
		}
		if f.method != MethodEmail {
			st.ProvenAt = &now
		}
		st.LostAt, st.ReleaseAt = nil, nil
		next(s.spread(recheckEvery))
		set(resource.True, "Found", "the proof is in its place")
	case proofGone:
		if st.LostAt == nil {
			release := now.Add(graceTime)
			st.LostAt, st.ReleaseAt = &now, &release
			st.Note(now, EventProofLost, Warning, fmt.Sprintf("the proof that %s is yours is gone (%s): put it back before %s, or the domain is released and no longer served",
				d.Name, f.message, release.Format("2006-01-02 15:04 MST")), map[string]string{"release_at": release.Format(time.RFC3339)})
		}
		next(recheckLost)
		set(resource.False, f.reason, fmt.Sprintf("%s. The domain is released at %s if this stays", f.message, st.ReleaseAt.Format("2006-01-02 15:04 MST")))
	case proofUnclear:
		next(recheckLost)
		set(resource.Unknown, f.reason, "it could not be looked whether the proof is there: "+f.message)
	}
}

// spread moves a duration by up to a tenth, so that what was added together is
// not checked together for ever.
func (s *Service) spread(d time.Duration) time.Duration {
	return d + time.Duration((s.Random()-0.5)/5*float64(d))
}

// releaseLost releases the claim of a domain whose proof has been gone for the
// grace period, as a look just now has confirmed. The domain stays, unverified,
// with new tokens.
func (s *Service) releaseLost(ctx context.Context, d Domain) (Domain, error) {
	r, err := s.findClaim(ctx, d.Name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return d, err
	}
	if err == nil {
		plan := resource.NewPlan("", "")
		plan.Reason = fmt.Sprintf("%s is released: its proof was gone for %d days", d.Name, int(graceTime/(24*time.Hour)))
		plan.Delete(r)
		_, err := s.Store.Commit(ctx, plan.Commit(resource.Cause{Actor: "system verification", Via: "system"}))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return d, err
		}
	}
	if err := s.spend(ctx, d.ID); err != nil {
		return d, err
	}
	now := s.Now().UTC().Truncate(time.Second)
	return s.rewrite(ctx, d.ID, true, func(d *Domain) {
		st := &d.Status
		st.Note(now, EventReleased, Critical, d.Name+" is no longer served: the proof that it is yours was gone for too long. Prove it again", nil)
		st.VerificationToken, st.File, st.Former, st.Mail, st.Records = "", nil, nil, nil, nil
		s.record(d, finding{})
	})
}
