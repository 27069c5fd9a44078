package dns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/edgeconfig"
)

// TestPartsMayComeLongBeforeTheirHead: a large change crosses the bus in many
// messages, and the version before is looked at again after each.
func TestPartsMayComeLongBeforeTheirHead(t *testing.T) {
	text := func(last byte) string {
		var b strings.Builder
		b.WriteString(soaLine + "@ IN NS ns1\nns1 IN A 192.0.2.1\n")
		for i := range 300 * int(last) {
			fmt.Fprintf(&b, "n%d IN A 10.0.%d.%d\n", i, last, i%256)
		}
		return b.String()
	}
	z := NewZones()
	first := contentOf(t, "zon_1", "example.com.", records(t, "example.com.", text(1)))
	apply(t, z, first.documents(t, 1))
	second := contentOf(t, "zon_1", "example.com.", records(t, "example.com.", text(4)))
	second.head.Parts = first.head.Parts
	second.head.SOA.Serial = 2
	docs := second.documents(t, 2)
	if second.head.Parts == first.head.Parts {
		t.Fatalf("both versions have %d parts", first.head.Parts)
	}
	for _, d := range docs {
		apply(t, z, []edgeconfig.Document{d})
	}
	if s := z.zones["zon_1"]; s.model.head.SOA.Serial != 2 || len(s.parts) != 0 {
		t.Fatalf("serial %d is served, %d parts wait", s.model.head.SOA.Serial, len(s.parts))
	}
}
