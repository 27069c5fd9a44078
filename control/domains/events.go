package domains

import (
	"maps"
	"time"
)

// Event is something that happened to a domain and that somebody may want to be
// told of. Events live in the status, so that whoever watches the store gets them
// with the domain: a consumer remembers, for each domain, the last Number it has
// dealt with. The list is bounded; the audit log is what remembers for good.
type Event struct {
	Number   int64             `json:"number"` // 1, 2, 3, ... within the domain, never used again
	At       time.Time         `json:"at"`
	Type     string            `json:"type"`     // EventExpiring, ...
	Severity string            `json:"severity"` // "info", "warning", "critical"
	Message  string            `json:"message"`  // for people: what is, and what to do
	Data     map[string]string `json:"data,omitempty"`
}

// The types of events.
const (
	EventVerified         = "ownership.verified"
	EventProofLost        = "ownership.proof_lost"
	EventProofRestored    = "ownership.proof_restored"
	EventReleased         = "ownership.released"
	EventTransferred      = "ownership.transferred"
	EventLocked           = "lock.locked"
	EventUnlocked         = "lock.unlocked"
	EventExpiring         = "registry.expiring" // data: days, expires_at
	EventExpired          = "registry.expired"
	EventRegistryChanged  = "registry.changed" // data: what, before, after
	EventUnprotected      = "registry.transfer_unprotected"
	EventResolution       = "dns.resolution" // data: status
	EventPropagated       = "dns.propagated" // data: name, type
	EventDelegationBroken = "dns.delegation_broken"
	EventDelegationOK     = "dns.delegation_ok"
	EventDangling         = "dns.dangling" // data: name, type, target
	EventDanglingGone     = "dns.dangling_gone"
	EventWithdrawn        = "dns.records_removed" // at a provider that sets nothing now
	EventLeft             = "dns.records_left"    // they could not be removed
)

// The severities of events.
const (
	Info     = "info"
	Warning  = "warning"
	Critical = "critical"
)

const maxEvents = 50

// Note appends an event, and forgets the oldest when there are too many.
func (st *Status) Note(at time.Time, typ, severity, message string, data map[string]string) {
	number := int64(1)
	if n := len(st.Events); n > 0 {
		number = st.Events[n-1].Number + 1
	}
	st.Events = append(st.Events, Event{
		Number: number, At: at.UTC().Truncate(time.Second), Type: typ, Severity: severity, Message: message, Data: maps.Clone(data),
	})
	if over := len(st.Events) - maxEvents; over > 0 {
		st.Events = append([]Event(nil), st.Events[over:]...)
	}
}
