package dns

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/edgeconfig"
)

var anyTime = cmpopts.IgnoreFields(edgeconfig.Fetch{}, "At")

// What a secondary asked for last, and what became of it, is told once: of every
// way in which a zone is not given, too, and of nobody that the zone's owner has
// no business with.
func TestFetchesAreTold(t *testing.T) {
	p := startPrimary(t, "", &edgeconfig.Transfer{Keys: []string{"key_1"}})
	p.PutKey(testKey(t, "key_2", "other.example.", transferSecret))
	closed := contentOf(t, "zon_2", "closed.example.", records(t, "closed.example.", soaLine+fullZone))
	closed.head.Transfer = &edgeconfig.Transfer{Keys: []string{"key_1"}, Allow: []string{"192.0.2.0/24"}}
	apply(t, p.Zones, closed.documents(t, 1))
	unset := contentOf(t, "zon_3", "unset.example.", records(t, "unset.example.", soaLine+fullZone))
	apply(t, p.Zones, unset.documents(t, 1))
	expired := contentOf(t, "zon_4", "expired.example.", records(t, "expired.example.", soaLine+fullZone))
	expired.head.Transfer = &edgeconfig.Transfer{Keys: []string{"key_1"}}
	expired.head.Secondary = &edgeconfig.Secondary{Primaries: []string{"192.0.2.1"}, Expired: true}
	apply(t, p.Zones, expired.documents(t, 1))
	zone := p.content.head.ID
	good, bad := base64.StdEncoding.EncodeToString(transferSecret), base64.StdEncoding.EncodeToString([]byte("another secret of 32 bytes, long"))
	key := strings.TrimSuffix(transferKey, ".")
	own := func(kind edgeconfig.FetchKind, outcome edgeconfig.Fetched, serial uint32, key string) []edgeconfig.Fetch {
		return []edgeconfig.Fetch{{Client: "127.0.0.1", Key: key, Kind: kind, Outcome: outcome, Serial: serial}}
	}
	const axfr, ixfr = edgeconfig.FetchWhole, edgeconfig.FetchDifference
	p.set("new", "192.0.2.9")
	p.serve()
	at := p.content.head.SOA.Serial
	for _, c := range []struct {
		name, zone, key, secret, network string
		since                            uint32 // 0: AXFR
		late                             int64
		of                               string
		want                             []edgeconfig.Fetch
	}{
		{"whole", transferApex, transferKey, good, "tcp", 0, 0, zone, own(axfr, edgeconfig.FetchGiven, at, key)},
		{"what is new", transferApex, transferKey, good, "tcp", at - 1, 0, zone, own(ixfr, edgeconfig.FetchGiven, at, key)},
		{"from an unknown version", transferApex, transferKey, good, "tcp", 5, 0, zone, own(axfr, edgeconfig.FetchGiven, at, key)},
		{"nothing new", transferApex, transferKey, good, "tcp", at, 0, zone, own(ixfr, edgeconfig.FetchCurrent, at, key)},
		{"nothing new, over UDP", transferApex, transferKey, good, "udp", at, 0, "", nil},
		{"no key", transferApex, "", "", "tcp", 0, 0, zone, own(axfr, edgeconfig.FetchUnsigned, 0, "")},
		{"no key, over UDP", transferApex, "", "", "udp", 0, 0, "", nil},
		{"an unknown key", transferApex, "unknown.example.", good, "tcp", 0, 0, zone, own(axfr, edgeconfig.FetchUnknownKey, 0, "")},
		{"a wrong secret", transferApex, transferKey, bad, "tcp", 0, 0, zone, own(axfr, edgeconfig.FetchBadSignature, 0, key)},
		{"a wrong clock", transferApex, transferKey, good, "tcp", 0, -1000, zone, own(axfr, edgeconfig.FetchBadTime, 0, key)},
		{"another's key", transferApex, "other.example.", good, "tcp", 0, 0, zone, own(axfr, edgeconfig.FetchForeignKey, 0, "")},
		{"from elsewhere", "closed.example.", transferKey, good, "tcp", 1, 0, "zon_2", own(ixfr, edgeconfig.FetchFromAfar, 0, key)},
		{"an expired copy", "expired.example.", transferKey, good, "tcp", 0, 0, "zon_4", own(axfr, edgeconfig.FetchExpired, 0, key)},
		{"a zone that nobody may have", "unset.example.", transferKey, good, "tcp", 0, 0, "", nil},
		{"below a zone", "www." + transferApex, transferKey, good, "tcp", 0, 0, "", nil},
		{"no zone", "elsewhere.", "", "", "tcp", 0, 0, "", nil},
		{"a question like any other, with a wrong secret", transferApex, transferKey, bad, "tcp", 0, 0, "", nil},
	} {
		q := new(dns.Msg).SetAxfr(c.zone)
		switch {
		case strings.HasPrefix(c.name, "a question"):
			q.SetQuestion(c.zone, dns.TypeSOA)
		case c.since > 0:
			q.SetIxfr(c.zone, c.since, ".", ".")
		}
		if c.key != "" {
			q.SetTsig(c.key, dns.HmacSHA256, 300, time.Now().Unix()+c.late)
		}
		conn, err := dns.Dial(c.network, p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		conn.TsigSecret = map[string]string{c.key: c.secret}
		if err := conn.WriteMsg(q); err != nil {
			t.Fatal(err)
		}
		if m, err := conn.ReadMsg(); m == nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		want := map[string][]edgeconfig.Fetch{}
		if c.want != nil {
			want[c.of] = c.want
		}
		if tcp, is := conn.Conn.(*net.TCPConn); is { // it ends when everything that it asked for is noted
			if err := tcp.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, tcp)
		}
		_ = conn.Close()
		got := p.TakeFetches()
		if d := cmp.Diff(want, got, anyTime, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		for _, f := range got[c.of] {
			if !f.Plausible() {
				t.Errorf("%s: %+v will not be taken", c.name, f)
			}
		}
	}
}

// fromThere is one end of a pipe, as if it came over the network.
type fromThere struct{ net.Conn }

func (fromThere) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[::ffff:192.0.2.7]:5353"))
}

// A transfer that was not read is told apart from one that was, and hides it not.
func TestFetchesThatFailAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams, _ := piped(t)
		var clients []*pipeline
		dial := func() *pipeline {
			client, server := net.Pipe()
			streams.take(fromThere{server})
			clients = append(clients, newPipeline(t, client))
			return clients[len(clients)-1]
		}
		want := edgeconfig.Fetch{Client: "192.0.2.7", Key: strings.TrimSuffix(transferKey, "."), Kind: edgeconfig.FetchWhole, Outcome: edgeconfig.FetchGiven, Serial: 1}
		expect := func(outcomes ...edgeconfig.Fetched) {
			t.Helper()
			for _, p := range clients {
				_ = p.Close()
			}
			clients = nil
			streams.work.Wait()
			var list []edgeconfig.Fetch
			for _, o := range outcomes {
				if want.Outcome, want.Serial = o, 1; o == edgeconfig.FetchLater {
					want.Serial = 0
				}
				list = append(list, want)
			}
			if d := cmp.Diff(map[string][]edgeconfig.Fetch{"zon_1": list}, streams.responder.zones.TakeFetches(), anyTime, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		}
		p := dial()
		p.send(p.signed(1, transferApex, 0))
		p.finish(1)
		p.send(p.signed(2, transferApex, 0))
		p.must()
		expect(edgeconfig.FetchBroken, edgeconfig.FetchGiven)

		p = dial()
		p.send(p.signed(1, transferApex, 0))
		p.must()
		time.Sleep(transferWrite + time.Second)
		expect(edgeconfig.FetchSlow)

		// All room is taken by those who read just fast enough.
		p = dial()
		for id := range uint16(maxTransfersOf) {
			p.send(p.signed(id, transferApex, 0))
		}
		synctest.Wait()
		q := dial()
		q.send(q.signed(1, transferApex, 0))
		for range 2 {
			time.Sleep(transferWait/2 + time.Second)
			p.must()
		}
		if m := q.must(); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%v", m)
		}
		synctest.Wait()
		if d := cmp.Diff(edgeconfig.FetchLater, streams.responder.zones.TakeFetches()["zon_1"][0].Outcome); d != "" {
			t.Error(d)
		}
		expect(edgeconfig.FetchBroken)
	})
}

// Whoever asks, and however often, takes a bounded room, and of that one project
// half at most; those who are refused take none of the others'.
func TestFetchesAreBounded(t *testing.T) {
	var f fetches
	start := time.Unix(1_700_000_000, 0)
	note := func(zone, project string, client int, outcome edgeconfig.Fetched) {
		f.note(zone, project, netip.AddrFrom4([4]byte{10, byte(client >> 16), byte(client >> 8), byte(client)}), edgeconfig.Fetch{Kind: edgeconfig.FetchWhole, Outcome: outcome, At: start.Add(time.Duration(client) * time.Second)})
	}
	count := func(got map[string][]edgeconfig.Fetch, match func(zone string, f edgeconfig.Fetch) bool) (n int) {
		for zone, list := range got {
			for _, f := range list {
				if match(zone, f) {
					n++
				}
			}
		}
		return n
	}
	has := func(_ string, f edgeconfig.Fetch) bool { return f.Outcome.Has() }
	for zone := range 1000 {
		for client := range 40 {
			note(fmt.Sprint("zon_", zone), "prj_greedy", client, edgeconfig.FetchGiven)
			note(fmt.Sprint("zon_", zone), "prj_greedy", client, edgeconfig.FetchUnsigned)
		}
	}
	note("zon_other", "prj_other", 1, edgeconfig.FetchGiven)
	note("zon_other", "prj_other", 1, edgeconfig.FetchUnsigned)
	got := f.take()
	if n := count(got, has); n != edgeconfig.MaxFetches/2+1 {
		t.Errorf("%d were given", n)
	}
	if n := count(got, func(z string, f edgeconfig.Fetch) bool { return !has(z, f) }); n != edgeconfig.MaxFetchesFailed/2+1 {
		t.Errorf("%d were not", n)
	}
	if len(got["zon_other"]) != 2 {
		t.Errorf("another project's: %v", got["zon_other"])
	}
	// The newest of a zone stay.
	if list := got["zon_0"]; len(list) != edgeconfig.MaxFetchesOf+edgeconfig.MaxFailedOf || slices.ContainsFunc(list, func(f edgeconfig.Fetch) bool { return f.At.Before(start.Add(24 * time.Second)) }) {
		t.Errorf("%d: %v", len(list), list)
	}
	if again := f.take(); again != nil {
		t.Errorf("told twice: %v", again)
	}
	// Many projects fill it all, and no more.
	for zone := range 4000 {
		note(fmt.Sprint("zon_", zone), fmt.Sprint("prj_", zone%7), 1, edgeconfig.FetchGiven)
	}
	if n := count(f.take(), has); n != edgeconfig.MaxFetches {
		t.Errorf("%d of all projects", n)
	}
}
