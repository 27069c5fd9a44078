package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/domains/registry"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/fault"
)

const switchedOff = "the operator has switched look-ups at registries off"

// expiryDays are the days before the end of a registration at which it is told.
var expiryDays = []int{30, 7, 1}

// registry asks the registry when it is time.
func (w *Watcher) registry(ctx context.Context, d domains.Domain, name domains.Name) (domains.Domain, time.Duration, error) {
	old := d.Status.Registry
	now := w.now()
	if old != nil {
		switch {
		case old.Skipped == switchedOff && w.options.Registry != nil: // not any more
		case old.Skipped == "" && w.options.Registry == nil: // now it is
		case old.NextAt == nil:
			return d, 0, nil
		case now.Before(*old.NextAt):
			return d, old.NextAt.Sub(now), nil
		}
	}
	state := w.LookUp(ctx, name, old)
	if ctx.Err() != nil {
		return d, 0, ctx.Err()
	}
	d, err := w.options.Domains.ChangeStatus(ctx, d.ID, func(d *domains.Domain) { w.recordRegistry(&d.Status, d.Name, state, now) })
	if err != nil || state.NextAt == nil {
		return d, 0, err
	}
	return d, state.NextAt.Sub(now), nil
}

// LookUp asks the registry of a name now and returns what is known afterwards: on
// a failure, what was known before.
func (w *Watcher) LookUp(ctx context.Context, name domains.Name, old *registry.State) registry.State {
	now := w.now()
	asked, reason := registry.Asked(name.ASCII)
	switch {
	case w.options.Domains.NeedsNoProof(name) && asked != "":
		return registry.State{Skipped: "the name belongs to the platform's own domain", CheckedAt: &now}
	case asked == "":
		return registry.State{Skipped: reason, CheckedAt: &now}
	case w.options.Registry == nil:
		return registry.State{Name: asked, Skipped: switchedOff, CheckedAt: &now}
	}
	state, err := w.options.Registry.Lookup(ctx, asked)
	after := w.spread(registryEvery)
	if err != nil {
		after = w.spread(registryRetry)
		var f *fault.Error
		if errors.As(err, &f) {
			after = max(after, f.RetryAfter)
		}
		state = registry.State{Name: asked}
		if old != nil && old.Skipped == "" && !fault.Is(err, fault.NotFound) {
			state = *old
		}
		state.Error = message(err)
		if fault.Is(err, fault.NotFound) {
			state.Unregistered = true
		}
	}
	next := now.Add(after)
	state.CheckedAt, state.NextAt = &now, &next
	return state
}

func message(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Message
	}
	return err.Error()
}

// recordRegistry writes a look into a status: the state, the condition Transfer,
// and an event for each thing that has changed.
func (w *Watcher) recordRegistry(st *domains.Status, domain string, state registry.State, now time.Time) {
	old := st.Registry
	st.Registry = &state
	if state.Skipped != "" {
		st.Conditions = slices.DeleteFunc(st.Conditions, func(c resource.Condition) bool { return c.Type == domains.Transfer || c.Type == domains.Expiry })
		return
	}
	if old != nil && old.Source != "" && state.Error == "" && old.Skipped == "" {
		for _, change := range []struct{ what, before, after string }{
			{"registrar", old.Registrar, state.Registrar},
			{"name_servers", strings.Join(old.NameServers, " "), strings.Join(state.NameServers, " ")},
			{"ds", strings.Join(old.DS, ", "), strings.Join(state.DS, ", ")},
			{"epp", strings.Join(old.EPP, " "), strings.Join(state.EPP, " ")},
		} {
			// RDAP and WHOIS do not say the same things.
			if change.before != change.after && old.Source == state.Source {
				st.Note(now, domains.EventRegistryChanged, domains.Warning, fmt.Sprintf("the registry now says for %s of %s: %s (before: %s)",
					strings.ReplaceAll(change.what, "_", " "), state.Name, orNone(change.after), orNone(change.before)),
					map[string]string{"what": change.what, "before": change.before, "after": change.after})
			}
		}
	}
	c := resource.Condition{Type: domains.Transfer, Status: resource.Unknown, Reason: "NotSaid", Message: "the registry does not say whether the name is protected against transfers", Since: now}
	protected, known := state.TransferProtected()
	switch {
	case state.Unregistered:
		c.Status, c.Reason, c.Message = resource.False, "NotRegistered", state.Error
	case protected:
		c.Status, c.Reason, c.Message = resource.True, "Protected", "the registry refuses transfers to another registrar"
	case known:
		c.Status, c.Reason = resource.False, "Unprotected"
		c.Message = fmt.Sprintf("whoever gets at the authorisation code can move %s away: switch on the transfer lock (clientTransferProhibited) at %s", state.Name, orRegistrar(state.Registrar))
	}
	if set(st, c) && c.Status == resource.False {
		st.Note(now, domains.EventUnprotected, domains.Warning, c.Message, nil)
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func orRegistrar(s string) string {
	if s == "" {
		return "your registrar"
	}
	return s
}

// expiry tells when a registration comes to its end, once at each of 30, 7 and 1
// days. What nobody ran for is told when it runs again, and only the latest.
func (w *Watcher) expiry(ctx context.Context, d domains.Domain, name domains.Name) (domains.Domain, time.Duration, error) {
	state := d.Status.Registry
	if state == nil || state.ExpiresAt == nil || state.Skipped != "" {
		return d, 0, nil
	}
	now := w.now()
	left := state.ExpiresAt.Sub(now)
	c, step := judgeExpiry(*state, left, now)
	told := 1 << 20 // no step yet
	if e := d.Status.ExpiryTold; e != nil && e.ExpiresAt.Equal(*state.ExpiresAt) {
		told = e.Days
	}
	speaks, err := w.speaksFor(ctx, d, name, state.Name)
	if err != nil {
		return d, 0, err
	}
	present, _ := resource.ConditionOf(d.Status.Conditions, domains.Expiry)
	if present.Reason != c.Reason || present.Message != c.Message || step < told {
		if d, err = w.options.Domains.ChangeStatus(ctx, d.ID, func(d *domains.Domain) {
			d.Status.Conditions = resource.SetCondition(d.Status.Conditions, c)
			if step >= told {
				return
			}
			d.Status.ExpiryTold = &domains.ExpiryTold{ExpiresAt: *state.ExpiresAt, Days: step}
			if !speaks {
				return
			}
			data := map[string]string{"days": strconv.Itoa(step), "expires_at": state.ExpiresAt.Format(time.RFC3339)}
			switch {
			case step < 0:
				d.Status.Note(now, domains.EventExpired, domains.Critical, c.Message, data)
			case step <= 7:
				d.Status.Note(now, domains.EventExpiring, domains.Critical, c.Message, data)
			default:
				d.Status.Note(now, domains.EventExpiring, domains.Warning, c.Message, data)
			}
		}); err != nil {
			return d, 0, err
		}
	}
	for _, days := range append(expiryDays, 0) {
		if at := left - time.Duration(days)*24*time.Hour; at > 0 {
			return d, at, nil
		}
	}
	return d, 0, nil
}

// judgeExpiry returns the condition and the step that is reached: 30, 7, 1, -1
// when it is over, a large number before.
func judgeExpiry(state registry.State, left time.Duration, now time.Time) (resource.Condition, int) {
	c := resource.Condition{Type: domains.Expiry, Status: resource.True, Reason: "Registered", Since: now}
	on := state.ExpiresAt.Format("2006-01-02")
	c.Message = fmt.Sprintf("%s is registered until %s", state.Name, on)
	if left <= 0 {
		c.Status, c.Reason = resource.False, "Expired"
		c.Message = fmt.Sprintf("the registration of %s ended on %s: renew it at %s before somebody else can have it", state.Name, on, orRegistrar(state.Registrar))
		return c, -1
	}
	step := 1 << 20
	for _, days := range expiryDays {
		if left <= time.Duration(days)*24*time.Hour {
			step = days
		}
	}
	if step <= expiryDays[0] {
		c.Status, c.Reason = resource.False, "Within"+strconv.Itoa(step)+"Days"
		c.Message = fmt.Sprintf("the registration of %s ends on %s: renew it at %s", state.Name, on, orRegistrar(state.Registrar))
	}
	return c, step
}

// speaksFor reports whether a domain tells of its registration: the registered
// name itself does where the environment has it, so that it is told once.
func (w *Watcher) speaksFor(ctx context.Context, d domains.Domain, name domains.Name, registered string) (bool, error) {
	if name.ASCII == registered {
		return true, nil
	}
	holder, err := w.options.Domains.Get(ctx, d.Project, d.Environment, registered)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	return err == nil && !holder.Status.Verified, err
}
