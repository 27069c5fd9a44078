package dns

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// read reads so many bytes at some rate, in messages of a transfer, and tells
// after how long it was let go; 0: not at all.
func (p *pace) read(bytes int64, perSecond float64) (ended time.Duration) {
	var all time.Duration
	for bytes > 0 {
		n := int(min(bytes, transferMessage))
		takes := time.Duration(float64(n) / perSecond * float64(time.Second))
		may := p.within(n)
		if takes > may {
			return all + may
		}
		p.took(n, takes)
		all += takes
		bytes -= int64(n)
	}
	return 0
}

// How long a transfer holds its room is bounded by its size, and a slow link that
// is honest gets the largest zones.
func TestPace(t *testing.T) {
	const million = 40 << 20 // bytes of as many records
	for _, c := range []struct {
		what      string
		bytes     int64
		perSecond float64
		ends      bool
	}{
		{"a million records at a modem's rate", million, 1.02 * paceBytes, false},
		{"fifty million", 50 * million, 1.02 * paceBytes, false},
		{"a small zone, however slowly", 20 << 10, 600, false},
		{"a million records, just too slowly", million, 0.9 * paceBytes, true},
		{"a million records, as slowly as messages may be", million, 600, true},
	} {
		var p pace
		ended := p.read(c.bytes, c.perSecond)
		if (ended > 0) != c.ends {
			t.Errorf("%s: ended after %v", c.what, ended)
		}
		if most := paceGrace + time.Duration(c.bytes/paceBytes)*time.Second; ended > most {
			t.Errorf("%s: it held its room for %v, more than %v", c.what, ended, most)
		}
	}
}

// every reads a message each time so long has passed, until the connection ends.
func (p *pipeline) every(pause time.Duration, until func() bool) error {
	for !until() {
		time.Sleep(pause)
		if _, err := p.next(); err != nil {
			return err
		}
	}
	return nil
}

// Who reads each message in time, and all of them too slowly, is let go in the
// end, and others have the room; who reads as a slow link does gets everything,
// of many transfers too, each connection anew.
func TestTransfersAreBoundedInAll(t *testing.T) {
	messages := func(rate float64) time.Duration {
		return time.Duration(transferMessage / rate * float64(time.Second))
	}
	synctest.Test(t, func(t *testing.T) {
		_, dial := piped(t)
		greedy, other := dial(), dial()
		for id := range uint16(maxTransfersOf) {
			greedy.send(greedy.signed(id, transferApex, 0))
		}
		synctest.Wait()
		other.send(other.signed(1, transferApex, 0))
		began := time.Now()
		gone := make(chan error, 1)
		go func() { gone <- greedy.every(messages(0.5*paceBytes), func() bool { return false }) }()
		if m := other.must(); m.Rcode != dns.RcodeServerFailure { // it waits for half a minute
			t.Errorf("%v", m)
		}
		if err := <-gone; !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("who reads too slowly: %v", err)
		}
		if held := time.Since(began); held > 2*paceGrace+transferWrite {
			t.Errorf("it held its room for %v", held)
		}
		next := dial()
		next.send(next.signed(1, transferApex, 0))
		next.finish(1)
	})
	synctest.Test(t, func(t *testing.T) {
		_, dial := piped(t)
		p := dial()
		for round := range uint16(2) {
			first, second := 1+2*round, 2+2*round
			p.send(p.signed(first, transferApex, 0), p.signed(second, transferApex, 0))
			if err := p.every(messages(1.1*paceBytes), func() bool { return p.ended(first) && p.ended(second) }); err != nil {
				t.Fatalf("round %d: who reads slowly: %v", round, err)
			}
			synctest.Wait()
		}
	})
	synctest.Test(t, func(t *testing.T) { // what was read quickly before is no reserve
		streams, dial := piped(t)
		p := dial()
		p.send(p.signed(1, transferApex, 0))
		p.finish(1)
		synctest.Wait()
		p.send(p.signed(2, transferApex, 0))
		if err := p.every(messages(0.5*paceBytes), func() bool { return p.ended(2) }); err == nil {
			t.Error("a transfer lasted longer because one before did not")
		}
		streams.work.Wait()
	})
}
