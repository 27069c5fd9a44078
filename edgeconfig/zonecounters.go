package edgeconfig

// ZoneCounters are the queries for names of one zone in some time span, by what
// became of them. Each counts once.
type ZoneCounters struct {
	Answers   int64 `json:"answers,omitempty"`   // NOERROR with records
	Referrals int64 `json:"referrals,omitempty"` // sent to the servers of a delegated name
	NoData    int64 `json:"nodata,omitempty"`    // the name has no such record
	NXDomain  int64 `json:"nxdomain,omitempty"`  // the name does not exist
	Failed    int64 `json:"failed,omitempty"`    // SERVFAIL, REFUSED and whatever else is no answer
	Limited   int64 `json:"limited,omitempty"`   // above the rate limit: dropped, or told to use TCP
}

// Add adds o to c.
func (c *ZoneCounters) Add(o ZoneCounters) {
	into := c.fields()
	for i, n := range o.fields() {
		*into[i] += *n
	}
}

// Minus is c without o.
func (c ZoneCounters) Minus(o ZoneCounters) ZoneCounters {
	into := c.fields()
	for i, n := range o.fields() {
		*into[i] -= *n
	}
	return c
}

// Queries is all of them.
func (c ZoneCounters) Queries() (sum int64) {
	for _, n := range c.fields() {
		sum += *n
	}
	return sum
}

// Values are the counters in the order of their fields.
func (c ZoneCounters) Values() (values [6]int64) {
	for i, n := range c.fields() {
		values[i] = *n
	}
	return values
}

// ZoneCountersOf turns Values back.
func ZoneCountersOf(values [6]int64) (c ZoneCounters) {
	for i, n := range c.fields() {
		*n = values[i]
	}
	return c
}

func (c *ZoneCounters) fields() [6]*int64 {
	return [...]*int64{&c.Answers, &c.Referrals, &c.NoData, &c.NXDomain, &c.Failed, &c.Limited}
}
