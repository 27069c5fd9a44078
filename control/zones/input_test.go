package zones_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/fault"
)

// What people and machines get wrong, each with its reason.
func TestBadRecords(t *testing.T) {
	long := strings.Repeat("a", 64)
	for i, c := range []struct{ name, typ, value, pointer, detail string }{
		{"www", "A", "", "/values/0", "empty"},
		{"www", "A", "192.0.2", "/values/0", "not the data of A"},
		{"www", "A", "192.0.2.256", "/values/0", "not the data of A"},
		{"www", "A", "2001:db8::1", "/values/0", "IPv6 address"},
		{"www", "A", "192.0.2.1:80", "/values/0", "port"},
		{"www", "A", "192.0.2.0/24", "/values/0", "network"},
		{"www", "A", "0.0.0.0", "/values/0", "no address of a host"},
		{"www", "A", "192.0.2.1\nwww A 192.0.2.2", "/values/0", "line break"},
		{"www", "A", "192.0.2.1 192.0.2.2", "/values/0", "not the data of A"},
		{"www", "AAAA", "192.0.2.1", "/values/0", "IPv4 address"},
		{"www", "AAAA", "2001:db8::g", "/values/0", "not the data of AAAA"},
		{"www", "AAAA", "::ffff:192.0.2.1", "/values/0", "IPv4"},
		{"www", "AAAA", "ff02::1", "/values/0", "no address of a host"},
		{"@", "CNAME", "other.example.net", "/type", "apex cannot be a CNAME"},
		{"www", "CNAME", "https://other.example.net/", "/values/0", "URL"},
		{"www", "CNAME", "192.0.2.1", "/values/0", "is an address"},
		{"www", "CNAME", "www.example.com", "/values", "leads to itself"},
		{"www", "CNAME", "a..b", "/values/0", "empty label"},
		{"www", "CNAME", long + ".example.net", "/values/0", "label of 64"},
		{"www", "ALIAS", "www", "/values", "leads to itself"},
		{"www", "ALIAS", "two words", "/values/0", "no name"},
		{"@", "NS", "ns1.example.net", "/type", "given by the platform"},
		{"*.sub", "NS", "ns1.example.net", "/name", "wildcard cannot be delegated"},
		{"sub", "NS", "192.0.2.1", "/values/0", "is an address"},
		{"@", "MX", "mail.example.com", "/values/0", "PREFERENCE HOST"},
		{"@", "MX", "70000 mail", "/values/0", "PREFERENCE HOST"},
		{"@", "MX", "10 192.0.2.1", "/values/0", "leads to a name"},
		{"@", "MX", "10 .", "/values/0", "RFC 7505"},
		{"@", "TXT", `"no end`, "/values/0", "does not end"},
		{"@", "TXT", `"a" b`, "/values/0", "between strings"},
		{"@", "TXT", `"\300"`, "/values/0", "above 255"},
		{"@", "TXT", `"\9"`, "/values/0", "not finished"},
		{"@", "TXT", strings.Repeat("x", 65_001), "/values/0", "more than"},
		{"@", "TXT", "v=spf1 " + strings.Repeat("include:a.example ", 11) + "-all", "/values", "11 look-ups"},
		{"@", "TXT", "v=spf1 " + strings.Repeat("ip4:192.0.2.1 ", 40) + "-all", "/values", "above 450"},
		{"www", "SRV", "1 2 3 host", "/name", "stands at a service"},
		{"_sip._tcp", "SRV", "1 2 host", "/values/0", "PRIORITY WEIGHT PORT HOST"},
		{"_sip._tcp", "SRV", "1 2 99999 host", "/values/0", "PRIORITY WEIGHT PORT HOST"},
		{"@", "CAA", "0 isue \"ca.example\"", "/values/0", "no CAA property"},
		{"@", "CAA", "7 issue \"ca.example\"", "/values/0", "flags"},
		{"@", "CAA", "issue ca.example", "/values/0", "FLAGS TAG"},
		{"www", "TLSA", "3 1 1 " + strings.Repeat("ab", 32), "/name", "stands at a port"},
		{"_443._tcp", "TLSA", "3 1 1 abcd", "/values/0", "digest of its length"},
		{"_443._tcp", "TLSA", "9 1 1 " + strings.Repeat("ab", 32), "/values/0", "usage 0 to 3"},
		{"www", "SSHFP", "4 2 abcd", "/values/0", "64 hexadecimal digits"},
		{"www", "SSHFP", "4 2 " + strings.Repeat("zz", 32), "/values/0", "ALGORITHM TYPE HEX"},
		{"www", "ALIAS", "192.0.2.1", "/values/0", "write an A record"},
		{"_sip._tcp", "SRV", "1 2 3 192.0.2.1", "/values/0", "leads to a name"},
		{"www", "HTTPS", "1 192.0.2.1", "/values/0", "ipv4hint"},
		{"www", "HTTPS", "1 . alpn", "/values/0", "names no protocol"},
		{"www", "HTTPS", "1 . no-default-alpn", "/values/0", "leaves no protocol"},
		{"www", "HTTPS", "1 . mandatory=alpn", "/values/0", "not among the parameters"},
		{"www", "SVCB", "1 . mandatory=mandatory port=443", "/values/0", "mandatory"},
		{"@", "DS", "1 13 2 " + strings.Repeat("ab", 32), "/type", "zone above"},
		{"sub", "DS", "1 13 2 abcd", "/values/0", "another length"},
		{"www", "HTTPS", "1", "/values/0", "PRIORITY NAME PARAMETERS"},
		{"www", "HTTPS", "0 other.example.net alpn=h2", "/values/0", "priority 0 makes an alias"},
		{"www", "HTTPS", "1 . port=99999", "/values/0", "PRIORITY NAME PARAMETERS"},
		{"www", "NAPTR", "1 2 u", "/values/0", "ORDER PREFERENCE"},
		{"www", "LOC", "91 0 0 N 0 0 0 E 0m", "/values/0", "LATITUDE"},
		{"www", "TYPE65280", "abcd", "/values/0", "RFC 3597"},
		{"www", "TYPE65280", `\# 4 00`, "/values/0", "not the data"},
		{"www", "TYPE70000", "x", "/type", "no type"},
		{"www", "BOGUS", "x", "/type", "no record type"},
		{"www", "ANY", "x", "/type", "not a type of records"},
		{"@", "SOA", "x", "/type", "not for zones"},
		{"old", "DNAME", "https://other.example.net", "/values/0", "is a URL"},
		{"old", "DNAME", "192.0.2.1", "/values/0", "is an address"},
		{"old", "DNAME", "old.example.com.", "/values", "without end"},
		{"old", "DNAME", "new.old.example.com.", "/values", "without end"},
		{"*.old", "DNAME", "other.example.net", "/name", "a wildcard is not redirected"},
		{"@", "DNSKEY", "257 3 13 AAAA", "/type", "not for zones"},
		{"@", "NSEC3PARAM", "1 0 0 -", "/type", "not for zones"},
		{"@", "SPF", "v=spf1 -all", "/type", "not for zones"},
		{"www.example.net.", "A", "192.0.2.1", "/name", "is not in the zone"},
		{"a.*.b", "A", "192.0.2.1", "/name", "whole first label"},
		{"w*w", "A", "192.0.2.1", "/name", "whole first label"},
		{long, "A", "192.0.2.1", "/name", "label of 64"},
		{"a..b", "A", "192.0.2.1", "/name", "empty label"},
		{"a b", "A", "192.0.2.1", "/name", "white space"},
		{strings.Repeat("abcdefg.", 40) + "x", "A", "192.0.2.1", "/name", "bound is 255"},
	} {
		err := refusal(c.name, c.typ, zones.RRsetSpec{Values: []string{c.value}})
		found := false
		for _, f := range err {
			found = found || f.Pointer == c.pointer && strings.Contains(f.Detail+": "+f.Fix, c.detail)
			if f.Fix == "" {
				t.Errorf("%d: %s %s %.60q: nothing is said of what to do about %q", i, c.name, c.typ, c.value, f.Detail)
			}
		}
		if !found {
			t.Errorf("%d: %s %s %.60q: %+v", i, c.name, c.typ, c.value, err)
		}
	}
}

// refusal is what is said against a set, and nothing when it is well.
func refusal(name, typ string, spec zones.RRsetSpec) []fault.Field {
	raw, _ := json.Marshal(spec)
	owner, err := zones.ParseOwner(name, "example.com")
	if err == nil {
		var known string
		if known, err = zones.ParseType(typ); err == nil {
			_, err = zones.RRsetType().Normalize(zones.RRsetName(owner, known, "example.com"), raw)
		}
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Fields
	}
	return nil
}

func TestBadSets(t *testing.T) {
	edges := &zones.Target{Kind: "edges"}
	for i, c := range []struct {
		typ     string
		spec    zones.RRsetSpec
		pointer string
	}{
		{"A", zones.RRsetSpec{}, "/values"},
		{"A", zones.RRsetSpec{TTL: -1, Values: []string{"192.0.2.1"}}, "/ttl"},
		{"A", zones.RRsetSpec{TTL: 700_000, Values: []string{"192.0.2.1"}}, "/ttl"},
		{"A", zones.RRsetSpec{Values: []string{"192.0.2.1", "192.0.2.1"}}, "/values/1"},
		{"CNAME", zones.RRsetSpec{Values: []string{"a.example.net", "b.example.net"}}, "/values"},
		{"TXT", zones.RRsetSpec{Values: []string{"v=spf1 -all", "v=spf1 ~all"}}, "/values"},
		{"TXT", zones.RRsetSpec{Values: []string{"v=spf1 -all", "V=SPF1 ~all"}}, "/values"},
		{"MX", zones.RRsetSpec{Values: []string{"0 .", "10 mail"}}, "/values"},
		{"A", zones.RRsetSpec{Values: []string{"192.0.2.1"}, Target: edges}, "/target"},
		{"MX", zones.RRsetSpec{Target: edges}, "/target"},
		{"A", zones.RRsetSpec{Target: &zones.Target{Kind: "cloud"}}, "/target/kind"},
		{"A", zones.RRsetSpec{Target: &zones.Target{Kind: "edge"}}, "/target/id"},
		{"A", zones.RRsetSpec{Values: []string{"192.0.2.1"}, Steering: &zones.Steering{}}, "/steering/answers"},
		{"A", zones.RRsetSpec{Values: []string{"192.0.2.1"}, Steering: &zones.Steering{Policy: "latency"}}, "/steering/policy"},
		{"A", zones.RRsetSpec{Values: []string{"192.0.2.1"}, Steering: &zones.Steering{Answers: []zones.Answer{{Countries: []string{"DEU"}, Values: []string{"192.0.2.2"}}}}}, "/steering/answers/0/countries/0"},
		{"A", zones.RRsetSpec{Values: []string{"192.0.2.1"}, Steering: &zones.Steering{Answers: []zones.Answer{{Continents: []string{"XX"}, Values: []string{"192.0.2.2"}}}}}, "/steering/answers/0/continents/0"},
		{"A", zones.RRsetSpec{Values: []string{"192.0.2.1"}, Steering: &zones.Steering{Answers: []zones.Answer{{Weight: -1, Values: []string{"192.0.2.2"}}}}}, "/steering/answers/0/weight"},
		{"A", zones.RRsetSpec{Values: []string{"192.0.2.1"}, Steering: &zones.Steering{Answers: []zones.Answer{{}}}}, "/steering/answers/0/values"},
		{"A", checked(zones.HealthCheck{Type: "icmp", Port: 1}), "/steering/checks/c/type"},
		{"A", checked(zones.HealthCheck{Type: "tcp", Port: 99999}), "/steering/checks/c/port"},
		{"A", checked(zones.HealthCheck{Type: "http", Path: "status"}), "/steering/checks/c/path"},
		{"A", checked(zones.HealthCheck{Type: "http", Interval: -1}), "/steering/checks/c/interval"},
		{"A", checked(zones.HealthCheck{Type: "http", Timeout: 31}), "/steering/checks/c/timeout"},
		{"A", checked(zones.HealthCheck{Type: "http", Fall: 99}), "/steering/checks/c/fall"},
		{"A", zones.RRsetSpec{Zone: "example.net", Values: []string{"192.0.2.1"}}, "/zone"},
	} {
		found := false
		for _, f := range refusal("www", c.typ, c.spec) {
			found = found || f.Pointer == c.pointer && f.Fix != ""
		}
		if !found {
			t.Errorf("%d: nothing is said at %s: %+v", i, c.pointer, refusal("www", c.typ, c.spec))
		}
	}
}

func checked(h zones.HealthCheck) zones.RRsetSpec {
	return zones.RRsetSpec{Values: []string{"192.0.2.1"}, Steering: &zones.Steering{
		Answers: []zones.Answer{{Check: "c", Values: []string{"192.0.2.2"}}}, Checks: map[string]zones.HealthCheck{"c": h},
	}}
}

func TestBadZoneFiles(t *testing.T) {
	for _, c := range []struct {
		text, detail string
		fatal        bool // the file as a whole cannot be read
	}{
		{"www IN A", "no type or no data", false},
		{"www IN A 192.0.2.300", "not the data of A", false},
		{"  IN A 192.0.2.1", "names no owner", false},
		{"$INCLUDE other.zone", "$INCLUDE", false},
		{"$GENERATE 1-9 n$ A 192.0.2.$", "$GENERATE", false},
		{"$TTL soon", "$TTL", false},
		{"$NONSENSE x", "no directive", false},
		{"www.example.net. IN A 192.0.2.1", "not in the zone", false},
		{"www CH A 192.0.2.1", "class", false},
		{"@ IN SOA ns1 h 1 2 3 4 5", "made by itself", false},
		{"@ IN NS ns9.example.net.", "given by the platform", false},
		{"@ IN DNSKEY 257 3 13 AAAA", "made when the zone is signed", false},
		{"www IN RRSIG A 13 3 60 20260101000000 20260101000000 1 example.com. AAAA", "made when the zone is signed", false},
		{"www IN BOGUS x", "no record type", false},
		{"@ IN CNAME www", "apex cannot be a CNAME", false},
		{"@ IN TXT \"never ends", "does not end", true},
		{"@ IN MX (10 mail", "not closed", true},
		{"@ IN MX 10 mail)", "not opened", true},
		{"www IN A 192.0.2.1\x00", "zero byte", true},
	} {
		_, report, err := zones.ParseZoneFile("example.com", c.text+"\n")
		if c.fatal {
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.detail) {
				t.Errorf("%q: %v", c.text, err)
			}
			continue
		}
		if err != nil || len(report.Skipped) != 1 || !strings.Contains(report.Skipped[0].Reason+report.Skipped[0].Fix, c.detail) || report.Skipped[0].Line != 1 {
			t.Errorf("%q: %+v, %v", c.text, report.Skipped, err)
		}
	}
}

func TestNeighboursAndConsent(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ensure("p", "example.com")
	w.set("example.com", "www", "A", "192.0.2.1")
	refused := func(name, typ, value string) error {
		raw, _ := json.Marshal(zones.RRsetSpec{Values: []string{value}})
		_, _, err := w.room.SetRRset(ctx, "p", "production", "example.com", zones.Set{Name: name, Type: typ, Spec: raw}, false, 0, cause)
		return err
	}
	if err := refused("www", "CNAME", "other.example.net"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a CNAME beside an A: %v", err)
	}
	if err := refused("sub", "DS", "1 13 2 "+strings.Repeat("ab", 32)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a DS without NS: %v", err)
	}
	raw, _ := json.Marshal(zones.RRsetSpec{Values: []string{"ns.sub.example.com"}})
	plan, err := w.room.PlanSetRRset(ctx, "p", "production", "example.com", zones.Set{Name: "sub", Type: "NS", Spec: raw}, true, 0)
	if err != nil || len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "glue") {
		t.Errorf("%v, %v", plan.Warnings, err)
	}
	if _, err := w.room.PlanEdit(ctx, "p", "production", "example.com", zones.Edit{Replace: true}); !fault.Is(err, fault.Conflict) {
		t.Errorf("emptied without consent: %v", err)
	}
	text := ""
	for i := range 20 {
		text += fmt.Sprintf("n%d IN A 192.0.2.%d\n", i, i+1)
	}
	_, err = w.room.Import(ctx, "p", "production", "example.com", text, false, false, false, cause)
	ok(t, err)
	half := strings.Join(strings.Split(text, "\n")[:10], "\n")
	if _, err := w.room.Import(ctx, "p", "production", "example.com", half, true, false, false, cause); !fault.Is(err, fault.Conflict) {
		t.Errorf("half of the zone without consent: %v", err)
	}
	report, err := w.room.Import(ctx, "p", "production", "example.com", half, true, false, true, cause)
	if err != nil || report.Deleted != 11 || report.Same != 10 {
		t.Errorf("%+v, %v", report, err)
	}
}

// drawnSets makes sets that are well-formed.
func drawnSets(t *rapid.T) string {
	var out strings.Builder
	for i := range rapid.IntRange(0, 12).Draw(t, "records") {
		name := rapid.SampledFrom([]string{"@", "www", "*.wild", "a.b", "_443._tcp", "odd\\.dot", "MiXed", "münchen", "sub", "x\\032y", "0/25"}).Draw(t, fmt.Sprint("name", i))
		data := rapid.SampledFrom([]string{
			"A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1", "MX 10 Mail", "MX 0 mx.example.net.", `TXT "a;b" "c\"d" "\200"`, "TXT " + strings.Repeat("x", 300), "CAA 0 issue \"ca.example\"",
			"ALIAS other.example.net.", "SSHFP 4 2 " + strings.Repeat("ab", 32), "HTTPS 1 . alpn=h2,h3 port=8443", `TYPE65280 \# 2 abcd`, "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
			`NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:x@example.com!" .`, "PTR host.example.net.", `URI 10 1 "https://x.example/"`,
		}).Draw(t, fmt.Sprint("data", i))
		ttl := rapid.SampledFrom([]string{"", "60 ", "1h "}).Draw(t, fmt.Sprint("ttl", i))
		fmt.Fprintf(&out, "%s %s%s\n", name, ttl, data)
	}
	return out.String()
}

func TestExportAndImportAreOne(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.ensure("p", "example.com")
	rapid.Check(t, func(t *rapid.T) {
		text := drawnSets(t)
		if _, err := w.room.Import(ctx, "p", "production", "example.com", text, true, false, true, cause); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var out strings.Builder
		if err := w.room.Export(ctx, "p", "production", "example.com", &out); err != nil {
			t.Fatal(err)
		}
		plan, report, err := w.room.PlanImport(ctx, "p", "production", "example.com", out.String(), true, false, false)
		if err != nil || !plan.Empty() {
			t.Fatalf("what was exported is another zone: %+v %+v, %v\n%s", plan.Actions, report, err, out.String())
		}
		// And once more as resources.
		page, err := w.db.List(ctx, resource.Query{Kind: zones.KindRRset, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Items {
			again, err := zones.RRsetType().Normalize(r.Name, r.Spec)
			if err != nil || !resource.EqualJSON(again, r.Spec) {
				t.Fatalf("%s: %s becomes %s, %v", r.Name, r.Spec, again, err)
			}
			if name, err := zones.RRsetType().CanonicalName(r.Name); err != nil || name != r.Name {
				t.Fatalf("%s becomes %s, %v", r.Name, name, err)
			}
		}
	})
}

func FuzzZoneFile(f *testing.F) {
	for _, seed := range []string{"www 60 IN A 192.0.2.1\n", "$ORIGIN x.example.com.\n$TTL 1h\n@ TXT ( \"a\"\n \"b\" ) ; c\n", "a CNAME b\na.b MX 10 @\n", "\\000 TYPE1 \\# 4 01020304\n", "@ HTTPS 1 . alpn=\"h2\"\n", "$ORIGIN example.com\n@ TXT a\nwww TXT b\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sets, _, err := zones.ParseZoneFile("example.com", text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		for _, set := range sets {
			name := zones.RRsetName(set.Name, set.Type, "example.com")
			owner, typ, apex, err := zones.ParseRRsetName(name)
			if err != nil || owner != set.Name || typ != set.Type || apex != "example.com" {
				t.Fatalf("%q: the name %q is read as %q %q %q, %v", text, name, owner, typ, apex, err)
			}
			// What a set as a whole has against it (two CNAMEs) is said later.
			if spec, err := zones.RRsetType().Normalize(name, set.Spec); err == nil {
				if again, err := zones.RRsetType().Normalize(name, spec); err != nil || !resource.EqualJSON(spec, again) {
					t.Fatalf("%q: %s is no fixed point: %s, %v", text, spec, again, err)
				}
			}
		}
	})
}

func TestCompactDenialIsNotTransferred(t *testing.T) {
	for denial, refused := range map[string]bool{"nsec": false, "nsec3": false, "compact": true} {
		_, err := zones.Type().Normalize("example.com", json.RawMessage(`{"dnssec":{"enabled":true,"denial":"`+denial+`"},"transfer":{"keys":["transfer.example.com"]}}`))
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "secondaries") {
			t.Errorf("%s: %v", denial, err)
		}
	}
}
