package upkeep

import (
	"fmt"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
)

// maxEvents is how many a status keeps.
const maxEvents = 20

// warnings are the times before the end at which people are told, for lifetimes
// of 90 days and more.
var warnings = []time.Duration{30 * 24 * time.Hour, 7 * 24 * time.Hour, 24 * time.Hour}

// thresholds are the warnings scaled to a lifetime: a certificate of 6 days is
// told of 2 days, 11 hours and 96 minutes before its end.
func thresholds(life time.Duration) []time.Duration {
	list := make([]time.Duration, len(warnings))
	for i, w := range warnings {
		list[i] = min(w, time.Duration(float64(life)*float64(w)/float64(90*24*time.Hour)))
	}
	return list
}

// passed counts the thresholds that were passed and that somebody should act on:
// a certificate that is renewed by itself is told of only once that is overdue.
func passed(c *certificates.Certificate, now time.Time) int {
	st := c.Status
	if st.NotAfter == nil || st.NotBefore == nil {
		return 0
	}
	left, life := st.NotAfter.Sub(now), st.NotAfter.Sub(*st.NotBefore)
	if c.Spec.AutoRenew && c.Spec.Type != certificates.TypeCustom && st.LastError == nil && (st.RenewAt == nil || now.Before(st.RenewAt.Add(life/30))) {
		return 0
	}
	n := 0
	for _, t := range thresholds(life) {
		if left <= t {
			n++
		}
	}
	return n
}

// transitions tells what a change of status means to people. It is pure.
func transitions(c *certificates.Certificate, before certificates.Status, now time.Time) []certificates.Event {
	st := &c.Status
	var list []certificates.Event
	add := func(kind, format string, args ...any) {
		list = append(list, certificates.Event{At: now.UTC().Truncate(time.Second), Kind: kind, Message: fmt.Sprintf(format, args...)})
	}
	if st.Generation != before.Generation {
		st.Warned = 0
	}
	switch {
	case st.Generation != before.Generation && st.Generation != "" && before.Failures > 0:
		add(certificates.EventRecovered, "issued by %s after %d failures, valid until %s", st.Issuer, before.Failures, day(st.NotAfter))
	case st.Generation != before.Generation && st.Generation != "":
		add(certificates.EventIssued, "from %s, valid until %s", st.Issuer, day(st.NotAfter))
	}
	if e := st.LastError; e != nil && st.Failures > before.Failures {
		// The first of a row, another reason, and then one a day.
		if st.Failures == 1 || before.LastError == nil || before.LastError.Reason != e.Reason || st.Failures > 3 {
			text := e.Message + ". " + e.Fix
			if st.NextAttempt != nil {
				text += ". The next attempt is at " + st.NextAttempt.UTC().Format(time.RFC3339)
			}
			add(certificates.EventFailed, "%s", text)
		}
	}
	if st.Revoked != nil && before.Revoked == nil {
		add(certificates.EventRevoked, "revoked at %s (%s, told by %s)", day(&st.Revoked.At), st.Revoked.Reason, st.Revoked.Source)
	}
	if st.State == certificates.StateExpired && before.State != certificates.StateExpired {
		add(certificates.EventExpired, "it expired at %s", day(st.NotAfter))
	} else if n := passed(c, now); n > st.Warned {
		st.Warned = n
		add(certificates.EventExpiring, "it expires in %s, at %s", certificates.Span(st.NotAfter.Sub(now)), day(st.NotAfter))
	}
	for _, e := range list {
		st.Events = append([]certificates.Event{e}, st.Events...)
	}
	if len(st.Events) > maxEvents {
		st.Events = st.Events[:maxEvents]
	}
	return list
}

func day(t *time.Time) string {
	if t == nil {
		return "an unknown time"
	}
	return t.UTC().Format(time.RFC3339)
}
