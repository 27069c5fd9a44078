package dns

import (
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

// outcome is what became of a query for a zone, in the order of the fields of
// edgeconfig.ZoneCounters.
type outcome int

const (
	answered outcome = iota
	referred
	noRecord
	noName
	failed
	limited
	outcomes
)

// tally is what one worker has counted of one zone: a cache line that no other
// worker writes to. A zone's tallies are made with it, so that counting
// allocates nothing.
type tally struct {
	by [outcomes]atomic.Int64
	_  [64 - 8*outcomes]byte
}

// count counts one query of the zone; nil is no zone.
func (z *zone) count(k *counters, o outcome) {
	if z != nil {
		z.tallies[k.worker].by[o].Add(1)
	}
}

// counted sums a zone's tallies up.
func (z *zone) counted() edgeconfig.ZoneCounters {
	var values [outcomes]int64
	for i := range z.tallies {
		for o := range values {
			values[o] += z.tallies[i].by[o].Load()
		}
	}
	return edgeconfig.ZoneCountersOf(values)
}

// since is what was counted since the last look. It is called with Zones.mu held.
func (z *zone) since() edgeconfig.ZoneCounters {
	now := z.counted()
	fresh := now.Minus(z.taken)
	z.taken = now
	return fresh
}

// Take returns what was counted of each zone since the last Take, or since it is
// served; zones that nobody asked for are left out. One that ended is told of
// until nothing more comes.
func (z *Zones) Take() map[string]edgeconfig.ZoneCounters {
	z.mu.Lock()
	defer z.mu.Unlock()
	out := map[string]edgeconfig.ZoneCounters{}
	take := func(served *zone) (some bool) {
		fresh := served.since()
		if some = fresh != (edgeconfig.ZoneCounters{}); some {
			fresh.Add(out[served.id])
			out[served.id] = fresh
		}
		return some
	}
	for _, s := range z.zones {
		if s.zone != nil {
			take(s.zone)
		}
	}
	kept := z.ended[:0]
	for _, e := range z.ended {
		// A worker may still hold a zone that has just ended: one empty look is not
		// enough.
		some := take(e)
		if some || !e.quiet {
			kept = append(kept, e)
		}
		e.quiet = !some
	}
	clear(z.ended[len(kept):])
	z.ended = kept
	return out
}

// outcome is what the answer says, before it is cut short.
func (c *compose) outcome() outcome {
	switch {
	case c.rcode == dns.RcodeNameError, c.rcode == dns.RcodeSuccess && c.absent:
		return noName
	case c.rcode != dns.RcodeSuccess:
		return failed
	case c.counts[answer] > 0 || c.stream != nil && c.stream.transfer != nil:
		return answered
	case !c.aa:
		return referred
	}
	return noRecord
}

// count counts a finished answer, of a zone or of none.
func (s *responder) count(c *compose, k *counters, z *zone, o outcome) {
	switch {
	case c.rcode == dns.RcodeRefused:
		k.refused.Add(1)
	case c.rcode == dns.RcodeFormatError:
		k.formerr.Add(1)
	case c.rcode == dns.RcodeNotImplemented:
		k.notimp.Add(1)
	case z == nil:
	case o == answered:
		k.answers.Add(1)
	case o == referred:
		k.referrals.Add(1)
	case o == noRecord:
		k.nodata.Add(1)
	case o == noName:
		k.nxdomain.Add(1)
	}
}
