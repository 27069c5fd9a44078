package edgeconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/edgewright/edgewright/fault"
)

func testZone() Zone {
	return Zone{
		ID: "zon_1", Project: "default", Environment: "production", Name: "example.com",
		SOA: SOA{TTL: 3600, MName: "ns1.example.net", RName: "hostmaster.example.net", Serial: 1, Refresh: 7200, Retry: 3600, Expire: 1209600, Minimum: 300},
	}
}

func testName(name string, sets ...RRset) ZoneName { return ZoneName{Name: name, Sets: sets} }

func a(last byte) RRset { return RRset{Type: 1, TTL: 60, Data: [][]byte{{192, 0, 2, last}}} }

func TestSplitZoneMovesOnePartForOneChange(t *testing.T) {
	names := func(changed byte) (out []ZoneName) {
		for i := range 1000 {
			last := byte(i)
			if i == 500 {
				last = changed
			}
			out = append(out, testName(fmt.Sprintf("h%d", i), a(last)))
		}
		return out
	}
	z := testZone()
	before, err := SplitZone(&z, names(1), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	old := z
	after, err := SplitZone(&z, names(2), nil, z.Parts)
	if err != nil {
		t.Fatal(err)
	}
	if z.Parts != 16 || len(before) != 16 || len(z.Digests) != 16*PartDigestBytes {
		t.Fatalf("%d parts, %d bodies, %d bytes of digests", z.Parts, len(before), len(z.Digests))
	}
	moved := 0
	for i := range before {
		if !bytes.Equal(before[i], after[i]) {
			moved++
		}
		var p ZonePart
		if err := json.Unmarshal(after[i], &p); err != nil {
			t.Fatal(err)
		}
		if err := ValidateZonePart(&p); err != nil {
			t.Fatal(err)
		}
		if d := PartDigest(after[i]); !bytes.Equal(d[:], z.Digests[i*PartDigestBytes:][:PartDigestBytes]) {
			t.Fatalf("digest of part %d", i)
		}
	}
	if moved != 1 || bytes.Equal(old.Digests, z.Digests) {
		t.Fatalf("%d parts moved, want 1", moved)
	}
	if err := ValidateZone(&z); err != nil {
		t.Fatal(err)
	}
}

func TestSplitZoneCutsFinerWhenAPartIsTooLarge(t *testing.T) {
	text := bytes.Repeat(append([]byte{250}, bytes.Repeat([]byte{'x'}, 250)...), 100)
	var names []ZoneName
	for i := range 60 {
		names = append(names, testName(fmt.Sprintf("t%d", i), RRset{Type: 16, TTL: 60, Data: [][]byte{text}}))
	}
	z := testZone()
	bodies, err := SplitZone(&z, names, nil, 0)
	if err != nil || z.Parts < 4 {
		t.Fatalf("%d parts, %v", z.Parts, err)
	}
	for _, b := range bodies {
		if len(b) > MaxDocumentBytes {
			t.Fatalf("a part of %d bytes", len(b))
		}
	}
}

func TestPartsForKeepsTheCutWhileItFits(t *testing.T) {
	for _, c := range []struct{ names, previous, want int }{
		{0, 0, 1}, {64, 0, 1}, {65, 0, 2}, {128, 1, 1}, {129, 1, 4}, {300, 4, 4}, {31, 4, 1}, {1_000_000, 0, 4096}, {1_000_000, 4096, 4096}, {3, 1, 1},
	} {
		if got := PartsFor(c.names, c.previous); got != c.want {
			t.Errorf("PartsFor(%d, %d) = %d, want %d", c.names, c.previous, got, c.want)
		}
	}
}

func TestValidateZoneFaults(t *testing.T) {
	good := testZone()
	if _, err := SplitZone(&good, []ZoneName{testName("@", RRset{Type: 2, TTL: 60, Data: [][]byte{{0}}})}, nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := ValidateZone(&good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		break_  func(*Zone)
		pointer string
	}{
		"no ID":          {func(z *Zone) { z.ID = "" }, "/id"},
		"slash":          {func(z *Zone) { z.ID = "a/b" }, "/id"},
		"no project":     {func(z *Zone) { z.Project = "" }, "/project_id"},
		"root":           {func(z *Zone) { z.Name = "." }, "/name"},
		"upper case":     {func(z *Zone) { z.Name = "Example.com" }, "/name"},
		"trailing dot":   {func(z *Zone) { z.Name = "example.com." }, "/name"},
		"empty label":    {func(z *Zone) { z.Name = "a..b" }, "/name"},
		"mname":          {func(z *Zone) { z.SOA.MName = strings.Repeat("a", 64) }, "/soa"},
		"TTL":            {func(z *Zone) { z.SOA.TTL = 1 << 31 }, "/soa/ttl"},
		"unsigned sigs":  {func(z *Zone) { z.SOASigs = [][]byte{{1}} }, "/soa_sigs"},
		"signed no sigs": {func(z *Zone) { z.Denial = DenialNSEC }, "/soa_sigs"},
		"denial":         {func(z *Zone) { z.Denial = "nsec5" }, "/denial"},
		"parts":          {func(z *Zone) { z.Parts = 0 }, "/parts"},
		"digests":        {func(z *Zone) { z.Digests = nil }, "/digests"},
	} {
		z := good
		c.break_(&z)
		expectFault(t, name, ValidateZone(&z), c.pointer)
	}
}

func expectFault(t *testing.T, name string, err error, pointer string) {
	t.Helper()
	f, ok := err.(*fault.Error)
	if !ok || f.Code != fault.Invalid || len(f.Fields) == 0 || f.Fields[0].Pointer != pointer {
		t.Errorf("%s: %v, want a fault at %s", name, err, pointer)
	}
}

func TestValidateZonePartFaults(t *testing.T) {
	name := func(text string) []byte { b, _ := PackName(text); return b }
	cname := RRset{Type: 5, TTL: 60, Data: [][]byte{name("x.example")}}
	ns := RRset{Type: 2, TTL: 60, Data: [][]byte{name("ns.example")}}
	ds := RRset{Type: 43, TTL: 60, Data: [][]byte{append([]byte{0, 1, 13, 2}, make([]byte, 32)...)}}
	sig := append(append([]byte{0, 1, 13, 2}, make([]byte, 14)...), append(name("example.com"), make([]byte, 64)...)...)
	one := func(n ZoneName) ZonePart { return ZonePart{Zone: "zon_1", Parts: 1, Names: []ZoneName{n}} }
	for label, c := range map[string]struct {
		part    ZonePart
		pointer string // "": none
	}{
		"plain":             {one(testName("www", a(1))), ""},
		"delegation":        {one(testName("sub", ns, ds)), ""},
		"no zone":           {ZonePart{Parts: 1}, "/zone"},
		"part out of range": {ZonePart{Zone: "z", Part: 1, Parts: 1}, "/part"},
		"twice":             {ZonePart{Zone: "z", Parts: 1, Names: []ZoneName{testName("w", a(1)), testName("w", a(2))}}, "/names/1/n"},
		"other part":        {ZonePart{Zone: "z", Part: 1 - PartOf("w", 2), Parts: 2, Names: []ZoneName{testName("w", a(1))}}, "/names/0/n"},
		"upper case":        {one(testName("Www", a(1))), "/names/0/n"},
		"empty name":        {one(testName("", a(1))), "/names/0/n"},
		"no sets":           {one(testName("www")), "/names/0/s"},
		"order":             {one(testName("www", cname, a(1))), "/names/0/s/0/t"},
		"two of one type":   {one(testName("www", a(1), a(2))), "/names/0/s/1/t"},
		"SOA":               {one(testName("@", RRset{Type: 6, TTL: 1, Data: [][]byte{append(append(name("a"), name("b")...), make([]byte, 20)...)}})), "/names/0/s/0/t"},
		"ANY":               {one(testName("w", RRset{Type: 255, Data: [][]byte{{1}}})), "/names/0/s/0/t"},
		"OPT":               {one(testName("w", RRset{Type: 41, Data: [][]byte{{}}})), "/names/0/s/0/t"},
		"RRSIG":             {one(testName("w", RRset{Type: 46, Data: [][]byte{sig}})), "/names/0/s/0/t"},
		"two DNAMEs":        {one(testName("w", RRset{Type: 39, Data: [][]byte{name("a"), name("b")}})), "/names/0/s/0/d"},
		"DNAME and CNAME":   {one(testName("w", cname, RRset{Type: 39, Data: [][]byte{name("a")}})), "/names/0/s/0/t"},
		"DNAME and NS":      {one(testName("w", ns, RRset{Type: 39, Data: [][]byte{name("a")}})), "/names/0/s/1/t"},
		"DNAME of variants": {one(testName("w", RRset{Type: 39, Data: [][]byte{name("a")}, Variants: []Variant{{Data: [][]byte{name("b")}}}})), "/names/0/s/0/v/0"},
		"CNAME at the apex": {one(testName("@", cname)), "/names/0/s/0/t"},
		"CNAME and A":       {one(testName("w", a(1), cname)), "/names/0/s/1/t"},
		"two CNAMEs":        {one(testName("w", RRset{Type: 5, Data: [][]byte{name("a"), name("b")}})), "/names/0/s/0/d"},
		"DS without NS":     {one(testName("w", ds)), "/names/0/s/0/t"},
		"NS at a wildcard":  {one(testName("*.w", ns)), "/names/0/s/0/t"},
		"TTL":               {one(testName("w", RRset{Type: 1, TTL: 1 << 31, Data: [][]byte{{1, 2, 3, 4}}})), "/names/0/s/0/l"},
		"no data":           {one(testName("w", RRset{Type: 1})), "/names/0/s/0/d"},
		"short A":           {one(testName("w", RRset{Type: 1, Data: [][]byte{{1, 2, 3}}})), "/names/0/s/0/d/0"},
		"twice the same":    {one(testName("w", RRset{Type: 1, Data: [][]byte{{1, 2, 3, 4}, {1, 2, 3, 4}}})), "/names/0/s/0/d/1"},
		"compressed":        {one(testName("w", RRset{Type: 2, Data: [][]byte{{0xc0, 12}}})), "/names/0/s/0/d/0"},
		"compressed SRV":    {one(testName("w", RRset{Type: 33, Data: [][]byte{{0, 0, 0, 0, 0, 0, 0xc0, 0}}})), "/names/0/s/0/d/0"},
		"text":              {one(testName("w", RRset{Type: 16, Data: [][]byte{{5, 'a'}}})), "/names/0/s/0/d/0"},
		"trailing":          {one(testName("w", RRset{Type: 15, Data: [][]byte{append([]byte{0, 1}, append(name("m"), 1)...)}})), "/names/0/s/0/d/0"},
		"large":             {one(testName("w", RRset{Type: 65280, Data: [][]byte{make([]byte, MaxRRsetBytes)}})), "/names/0/s/0"},
		"sig of other type": {one(testName("w", RRset{Type: 16, Data: [][]byte{{0}}, Sigs: [][]byte{sig}})), "/names/0/s/0/g/0"},
		"signed":            {one(testName("w", RRset{Type: 1, Data: [][]byte{{1, 2, 3, 4}}, Sigs: [][]byte{sig}})), ""},
		"variant unsigned":  {one(testName("w", RRset{Type: 1, Data: [][]byte{{1, 2, 3, 4}}, Sigs: [][]byte{sig}, Variants: []Variant{{Data: [][]byte{{1, 2, 3, 5}}}}})), "/names/0/s/0/v/0/g"},
		"variant empty":     {one(testName("w", RRset{Type: 1, Data: [][]byte{{1, 2, 3, 4}}, Variants: []Variant{{}}})), "/names/0/s/0/v/0/d"},
		"variant of NS":     {one(testName("w", RRset{Type: 2, Data: [][]byte{name("a")}, Variants: []Variant{{Data: [][]byte{name("b")}}}})), "/names/0/s/0/v/0"},
		"iterations":        {ZonePart{Zone: "z", Parts: 1, NSEC3: []ZoneNSEC3{{Hash: make([]byte, 20), Data: append([]byte{1, 0, 0, 9, 0, 20}, make([]byte, 20)...), Sigs: [][]byte{append([]byte{0, 50}, sig[2:]...)}}}}, "/nsec3/0/d"},
		"NSEC3":             {ZonePart{Zone: "z", Parts: 1, NSEC3: []ZoneNSEC3{{Hash: make([]byte, 20), Data: append([]byte{1, 0, 0, 0, 0, 20}, make([]byte, 20)...), Sigs: [][]byte{append([]byte{0, 50}, sig[2:]...)}}}}, ""},
	} {
		err := ValidateZonePart(&c.part)
		if c.pointer == "" {
			if err != nil {
				t.Errorf("%s: %v", label, err)
			}
			continue
		}
		expectFault(t, label, err, c.pointer)
	}
}

func TestNamesThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire []byte
		for range rapid.IntRange(0, 4).Draw(t, "labels") {
			label := rapid.SliceOfN(rapid.Byte(), 1, 63).Draw(t, "label")
			if len(wire)+len(label)+2 > 255 {
				break
			}
			wire = append(append(wire, byte(len(label))), label...)
		}
		wire = append(wire, 0)
		text, err := UnpackName(wire)
		if err != nil {
			t.Fatal(err)
		}
		back, err := PackName(text)
		if err != nil || !bytes.Equal(back, wire) {
			t.Fatalf("%x -> %q -> %x, %v", wire, text, back, err)
		}
	})
	for _, bad := range []string{"a..b", ".a", `a\`, `a\25`, `a\256`, strings.Repeat("a", 64), strings.Repeat("a.", 128)} {
		if b, err := PackName(bad); err == nil {
			t.Errorf("PackName(%q) = %x", bad, b)
		}
	}
}

func TestZonePartNames(t *testing.T) {
	zone, n, ok := ParseZonePartName(strings.TrimPrefix(ZonePartKey("zon_1", 12), KindZonePart+"/"))
	if zone != "zon_1" || n != 12 || !ok {
		t.Fatal(zone, n, ok)
	}
	for _, bad := range []string{"", "zon_1", "zon_1/", "zon_1/-1", "zon_1/4096", "zon_1/01", "/1", "zon_1/1/2"} {
		if _, _, ok := ParseZonePartName(bad); ok {
			t.Errorf("%q passes", bad)
		}
	}
}

func FuzzValidateZonePart(f *testing.F) {
	z := testZone()
	bodies, _ := SplitZone(&z, []ZoneName{testName("@", a(1)), testName("*.w", a(2))}, nil, 0)
	f.Add(bodies[0])
	f.Add([]byte(`{"zone":"z","parts":1,"names":[{"n":"a","s":[{"t":64,"l":1,"d":["AAEAAAEAAwJoMg=="]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p ZonePart
		if json.Unmarshal(body, &p) != nil || ValidateZonePart(&p) != nil {
			return
		}
		apex, _ := PackName("example.com")
		for _, n := range p.Names {
			if _, err := PackName(n.Name); err != nil {
				t.Fatalf("a valid part has the name %q: %v", n.Name, err)
			}
			if wire, err := OwnerName(n.Name, apex); err == nil && len(wire) > 255 {
				t.Fatalf("%q is too long", n.Name)
			}
		}
	})
}
