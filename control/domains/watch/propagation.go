package watch

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/control/domains"
)

const (
	maxSets    = 60                  // kept for a domain
	maxLive    = 20                  // looked at for one question of a user
	changedFor = 30 * 24 * time.Hour // older changes of a managed zone are not followed
	followFor  = 14 * 24 * time.Hour // how long a change is waited for
)

// propagation follows changes of records until everybody has them.
func (w *Watcher) propagation(ctx context.Context, d domains.Domain, name domains.Name) (domains.Domain, time.Duration, error) {
	if w.options.Domains.NeedsNoProof(name) {
		return d, 0, nil
	}
	now := w.now()
	sets, err := w.wanted(ctx, d, name, now)
	if err != nil {
		return d, 0, err
	}
	changed := len(sets) != len(d.Status.Propagation)
	next := time.Duration(0)
	var zone *domains.Zone
	for i := range sets {
		s := &sets[i]
		changed = changed || s.CheckedAt == nil
		if s.CompleteAt != nil {
			continue
		}
		wait := followEvery(now.Sub(s.ChangedAt))
		if wait == 0 {
			continue
		}
		if s.CheckedAt == nil || !now.Before(s.CheckedAt.Add(wait)) {
			if zone == nil {
				z, _ := w.zone(ctx, name) // without it, the resolvers are asked alone
				zone = &z
			}
			w.look(ctx, *zone, s, now)
			changed = true
		}
		if s.CompleteAt == nil {
			if left := s.CheckedAt.Add(wait).Sub(now); next == 0 || left < next {
				next = max(left, time.Second)
			}
		}
	}
	if !changed {
		return d, next, nil
	}
	if ctx.Err() != nil {
		return d, 0, ctx.Err()
	}
	d, err = w.record(ctx, d, sets, now)
	return d, next, err
}

// followEvery is how often a change is looked for that is so old; 0: not any more.
func followEvery(age time.Duration) time.Duration {
	switch {
	case age < 10*time.Minute:
		return 10 * time.Second
	case age < time.Hour:
		return time.Minute
	case age < 24*time.Hour:
		return 5 * time.Minute
	case age < followFor:
		return time.Hour
	default:
		return 0
	}
}

// wanted are the sets that the world shall see: the records of the domain itself
// and what its managed zone has changed lately, with what is known of each.
func (w *Watcher) wanted(ctx context.Context, d domains.Domain, name domains.Name, now time.Time) ([]domains.Propagation, error) {
	var sets []domains.Propagation
	if w.options.RRsets != nil {
		list, err := w.options.RRsets.RRsets(ctx, d.Project, d.Environment, name.Base, now.Add(-changedFor), maxSets)
		if err != nil {
			return nil, err
		}
		for _, set := range list {
			sets = append(sets, domains.Propagation{Name: set.Name, Type: set.Type, Wanted: normal(set.Values), ChangedAt: set.ChangedAt, Exact: true})
		}
	}
	at := d.UpdatedAt.UTC().Truncate(time.Second)
	for _, r := range d.Status.Records {
		i := slices.IndexFunc(sets, func(s domains.Propagation) bool { return s.Name == r.FullName && s.Type == r.Type })
		switch {
		case i < 0:
			sets = append(sets, domains.Propagation{Name: r.FullName, Type: r.Type, Wanted: normal([]string{r.Value}), ChangedAt: at})
		case !sets[i].Exact:
			sets[i].Wanted = normal(append(sets[i].Wanted, r.Value))
		}
	}
	if len(sets) > maxSets {
		sets = sets[:maxSets]
	}
	for i, s := range sets {
		for _, old := range d.Status.Propagation {
			if old.Name != s.Name || old.Type != s.Type || !slices.Equal(old.Wanted, s.Wanted) {
				continue
			}
			// The same set as before: a domain's other settings do not make it new.
			if !s.Exact || old.ChangedAt.Equal(s.ChangedAt) {
				sets[i] = old
			}
		}
	}
	return sets, nil
}

// normal sorts values as they are compared.
func normal(values []string) []string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		out = append(out, strings.TrimSuffix(strings.Join(strings.Fields(v), " "), "."))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// look asks everybody for a set and notes when it was complete first.
func (w *Watcher) look(ctx context.Context, zone domains.Zone, s *domains.Propagation, now time.Time) {
	at := strings.Replace(s.Name, "*.", "edgewright-probe.", 1)
	s.Seen, s.With, s.Answering, s.CheckedAt = w.ask(ctx, zone, at, s.Type), 0, 0, &now
	for _, seen := range s.Seen {
		if !says(seen) {
			continue
		}
		s.Answering++
		if has(*s, normal(seen.Answers)) {
			s.With++
		}
	}
	if s.Answering > 0 && s.With == s.Answering {
		if s.CompleteAt == nil {
			s.CompleteAt = &now
		}
	}
}

// has reports whether an answer is what is wanted: exactly, in our own zones; at
// least, where others set records too.
func has(s domains.Propagation, answers []string) bool {
	if s.Exact {
		return slices.EqualFunc(s.Wanted, answers, sameValue(s.Type))
	}
	for _, want := range s.Wanted {
		if !slices.ContainsFunc(answers, func(a string) bool { return sameValue(s.Type)(want, a) }) {
			return false
		}
	}
	return true
}

// sameValue compares data: in text, case counts; in names and numbers it does not.
func sameValue(typ string) func(a, b string) bool {
	if typ == "TXT" || typ == "SPF" || typ == "CAA" {
		return func(a, b string) bool { return a == b }
	}
	return strings.EqualFold
}

// record writes the sets; a completion that the status does not know yet is an
// event.
func (w *Watcher) record(ctx context.Context, d domains.Domain, sets []domains.Propagation, now time.Time) (domains.Domain, error) {
	return w.options.Domains.ChangeStatus(ctx, d.ID, func(d *domains.Domain) {
		for _, s := range sets {
			if s.CompleteAt == nil || slices.ContainsFunc(d.Status.Propagation, func(old domains.Propagation) bool {
				return old.Name == s.Name && old.Type == s.Type && old.CompleteAt != nil && slices.Equal(old.Wanted, s.Wanted) && old.ChangedAt.Equal(s.ChangedAt)
			}) {
				continue
			}
			d.Status.Note(now, domains.EventPropagated, domains.Info, s.Type+" of "+s.Name+" is seen everywhere", map[string]string{
				"name": s.Name, "type": s.Type, "after": s.CompleteAt.Sub(s.ChangedAt).String(),
			})
		}
		d.Status.Propagation = slices.Clone(sets)
	})
}

// Propagation asks everybody now for the records of a domain, or for those of one
// name and type ("": all), and returns what each says and since when all agree.
// More sets than it may ask for at once come as they were last seen.
func (w *Watcher) Propagation(ctx context.Context, d domains.Domain, only, typ string) ([]domains.Propagation, error) {
	name, err := domains.ParseName(d.Name)
	if err != nil {
		return nil, err
	}
	if w.options.Domains.NeedsNoProof(name) {
		return []domains.Propagation{}, nil
	}
	now := w.now()
	sets, err := w.wanted(ctx, d, name, now)
	if err != nil {
		return nil, err
	}
	zone, _ := w.zone(ctx, name)
	shown := []domains.Propagation{}
	for i := range sets {
		if only != "" && !strings.EqualFold(sets[i].Name, strings.TrimSuffix(only, ".")) || typ != "" && !strings.EqualFold(sets[i].Type, typ) {
			continue
		}
		if len(shown) < maxLive {
			w.look(ctx, zone, &sets[i], now)
		}
		shown = append(shown, sets[i])
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	_, err = w.record(ctx, d, sets, now)
	return shown, err
}
