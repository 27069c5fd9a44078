package edgeconfig

import (
	"crypto/hkdf"
	"crypto/sha256"
	"time"
)

// TicketWindow is for how many hours, beside the present one, session tickets
// are good.
const TicketWindow = 12

// maxTicketSteps bounds how far a chain is wound on at once: ten years.
const maxTicketSteps = 10 * 365 * 24

// TicketChain makes the keys of session tickets, one for each hour, from one
// secret that all edges share. It goes forward only: from an hour's secret those
// of later hours follow and those of earlier ones do not, so who finds the
// secret on a disk or in a database reads no ticket from before its hour. Edges
// go on by themselves when the control plane is away.
type TicketChain struct {
	Hour   int64 // since 1970, UTC
	Secret [sha256.Size]byte
}

// HourOf is the hour of a time, as chains count.
func HourOf(t time.Time) int64 { return t.Unix() / 3600 }

// Key is the ticket key of the chain's hour.
func (c TicketChain) Key() [32]byte { return expand(c.Secret, "edgewright ticket key v1") }

// At is the chain at a later hour. For one that is not later, or further than
// ten years, it is the chain itself.
func (c TicketChain) At(hour int64) TicketChain {
	if hour-c.Hour > maxTicketSteps {
		return c
	}
	for c.Hour < hour {
		c.Secret = expand(c.Secret, "edgewright ticket chain v1")
		c.Hour++
	}
	return c
}

func expand(secret [sha256.Size]byte, info string) (out [32]byte) {
	b, err := hkdf.Expand(sha256.New, secret[:], info, len(out))
	if err != nil {
		panic(err) // only for lengths that HKDF cannot make
	}
	copy(out[:], b)
	return out
}
