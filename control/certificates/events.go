package certificates

import (
	"context"
	"fmt"
	"time"
)

// The kinds of events.
const (
	EventIssued    = "issued"
	EventRecovered = "recovered" // issued after failures
	EventFailed    = "failed"
	EventExpiring  = "expiring"
	EventExpired   = "expired"
	EventRevoked   = "revoked"
)

// Event is something about a certificate that people may want to be told.
type Event struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Message string    `json:"message"`
}

// Observer is told of events after they are on disk; what it does must be quick.
// After a crash the last may be missing: they are in the status.
type Observer interface {
	CertificateEvent(ctx context.Context, c Certificate, e Event)
}

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
func passed(c *Certificate, now time.Time) int {
	st := c.Status
	if st.NotAfter == nil || st.NotBefore == nil {
		return 0
	}
	left, life := st.NotAfter.Sub(now), st.NotAfter.Sub(*st.NotBefore)
	if c.Spec.AutoRenew && c.Spec.Type != TypeCustom && st.LastError == nil && (st.RenewAt == nil || now.Before(st.RenewAt.Add(life/30))) {
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
func transitions(c *Certificate, before Status, now time.Time) []Event {
	st := &c.Status
	var list []Event
	add := func(kind, format string, args ...any) {
		list = append(list, Event{At: now.UTC().Truncate(time.Second), Kind: kind, Message: fmt.Sprintf(format, args...)})
	}
	if st.Generation != before.Generation {
		st.Warned = 0
	}
	switch {
	case st.Generation != before.Generation && st.Generation != "" && before.Failures > 0:
		add(EventRecovered, "issued by %s after %d failures, valid until %s", st.Issuer, before.Failures, day(st.NotAfter))
	case st.Generation != before.Generation && st.Generation != "":
		add(EventIssued, "from %s, valid until %s", st.Issuer, day(st.NotAfter))
	}
	if e := st.LastError; e != nil && st.Failures > before.Failures {
		// The first of a row, another reason, and then one a day.
		if st.Failures == 1 || before.LastError == nil || before.LastError.Reason != e.Reason || st.Failures > 3 {
			text := e.Message + ". " + e.Fix
			if st.NextAttempt != nil {
				text += ". The next attempt is at " + st.NextAttempt.UTC().Format(time.RFC3339)
			}
			add(EventFailed, "%s", text)
		}
	}
	if st.Revoked != nil && before.Revoked == nil {
		add(EventRevoked, "revoked at %s (%s, told by %s)", day(&st.Revoked.At), st.Revoked.Reason, st.Revoked.Source)
	}
	if st.State == StateExpired && before.State != StateExpired {
		add(EventExpired, "it expired at %s", day(st.NotAfter))
	} else if n := passed(c, now); n > st.Warned {
		st.Warned = n
		add(EventExpiring, "it expires in %s, at %s", Span(st.NotAfter.Sub(now)), day(st.NotAfter))
	}
	for _, e := range list {
		st.Events = append([]Event{e}, st.Events...)
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

// Span writes a time to go as people say it.
func Span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d minutes", max(int(d.Minutes()), 0))
}
