// Package transfer takes zones over from their primaries, as a secondary does:
// AXFR (RFC 5936), IXFR (RFC 1995) and TSIG (RFC 8945), over TCP.
//
// Types: Content (a zone as it was transferred), Primary and Key (whom it is
// asked of), Client, Result (what came), Error (why nothing did, and what to do
// about it), Served (the zone as edges get it).
//
// Phases of Client.Fetch:
//
//	dial -> query, signed -> messages: bounds (client.go), signature (tsig.go)
//	-> records (stream.go): nothing new | a difference | the whole zone
//	-> Content
//
// A difference that does not fit what is held, or that the primary does not
// give, is followed by a transfer of the whole zone. A zone that cannot be
// served right by an edge is refused as a whole (Content.Serve): a secondary
// that leaves records out tells something else than its primary.
//
// The package keeps nothing and decides nothing about time: package secondary
// does. What it needs is Client.Dial, which checks the address.
package transfer

import "fmt"

// Reason says, in one word for machines, why a zone was not taken over.
type Reason string

// The reasons.
const (
	Forbidden   Reason = "Forbidden"   // the address is not one that is dialled from here
	Unreachable Reason = "Unreachable" // no connection, or it ended early
	TimedOut    Reason = "TimedOut"
	Refused     Reason = "Refused"      // the primary does not give the zone
	BadKey      Reason = "BadKey"       // the primary does not know the key
	BadSig      Reason = "BadSignature" // the secrets differ, or somebody changed a message
	BadTime     Reason = "BadTime"      // the clocks differ
	Malformed   Reason = "Malformed"    // what came is no transfer
	TooLarge    Reason = "TooLarge"
	Older       Reason = "OlderSerial" // the primary has an older version than we do
	NotServable Reason = "NotServable" // the zone has what edges cannot answer right
)

// Error is why a zone was not taken over.
type Error struct {
	Reason  Reason
	Message string // what is
	Fix     string // what to do

	again bool // the whole zone may come where the difference did not
}

func (e *Error) Error() string { return e.Message }

func failed(reason Reason, fix, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), Fix: fix}
}

// misfit is an error of a difference that the whole zone may not have.
func misfit(format string, args ...any) *Error {
	e := failed(Malformed, "look at the primary's log; its differences (IXFR) are damaged, switch them off there if this goes on", format, args...)
	e.again = true
	return e
}
