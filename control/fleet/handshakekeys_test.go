package fleet

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/edgeconfig"
)

func TestHandshakeKeysAreWound(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	k, err := newKeys(now)
	if err != nil {
		t.Fatal(err)
	}
	if !k.windHandshake(now, "edge.example") || k.Handshake.Hour != edgeconfig.HourOf(now) || len(k.Handshake.ECH) != 1 {
		t.Fatalf("the first: %+v", k.Handshake)
	}
	first := edgeconfig.TicketChain{Hour: k.Handshake.Hour, Secret: k.Handshake.Tickets}
	for h := range 100 {
		now = now.Add(time.Hour)
		c := k.clone()
		c.windHandshake(now, "edge.example")
		if c.windHandshake(now, "edge.example") {
			t.Fatalf("hour %d: something changes twice", h)
		}
		kept := edgeconfig.TicketChain{Hour: c.Handshake.Hour, Secret: c.Handshake.Tickets}
		if want := max(edgeconfig.HourOf(now)-edgeconfig.TicketWindow, first.Hour); kept.Hour != want || kept != first.At(want) {
			t.Fatalf("hour %d: kept from %d, want %d", h, kept.Hour, want)
		}
		k = c
	}
	if n := len(k.Handshake.ECH); n != echKeys {
		t.Errorf("%d keys of ECH after four days", n)
	}
	// A new key is with the edges for a while before it is published.
	f := &Fleet{now: func() time.Time { return now }}
	k.Handshake.ECH[0].Created = now.Add(-echBefore / 2)
	f.keysInUse.Store(k)
	list := f.ECHConfigList()
	if string(list[2:]) != string(k.Handshake.ECH[1].Config) {
		t.Error("a key is published before the edges have it")
	}
	now = now.Add(echBefore)
	if list = f.ECHConfigList(); string(list[2:]) != string(k.Handshake.ECH[0].Config) {
		t.Error("a key that the edges have is not published")
	}
	if !k.windHandshake(now, "") || k.Handshake.ECH != nil || f.ECHConfigList() != nil {
		t.Error("ECH stays although it is not wanted")
	}
}
