package compile

import (
	"slices"
	"testing"
	"time"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Edges get what was issued for the platform's name servers without a claim; what
// somebody has uploaded for them, and other unclaimed names, they do not.
func TestNameServersNeedNoClaim(t *testing.T) {
	c := New(&vault{}, edgeconfig.Platform{HTTPSPort: 443, NameServers: []string{"ns1.example.net", "ns2.example.net"}})
	c.SetGroupKey("g1", [32]byte{1})
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	uploaded := func(id, name string) []string {
		return keys(c.Apply(put(certificates.Kind, id, name, certificates.Spec{Domains: []string{name}}, certificates.Status{
			Generation: "u1", Names: []string{name}, Fingerprint: "ab", NotAfter: &until, IssuedType: certificates.TypeCustom,
		})))
	}
	if got := keys(c.Apply(certificate("crt_1", "1", "ns1.example.net"))); !slices.Equal(got, []string{"+certificate/crt_1"}) {
		t.Errorf("a name server: %v", got)
	}
	if got := uploaded("crt_2", "ns2.example.net"); slices.Contains(got, "+certificate/crt_2") {
		t.Errorf("an uploaded one: %v", got)
	}
	if got := keys(c.Apply(certificate("crt_3", "1", "www.example.net"))); slices.Contains(got, "+certificate/crt_3") {
		t.Errorf("another name: %v", got)
	}
	// Who has proved the name is served what is his.
	c.Apply(claim("clm_1", "ns2.example.net", "dom_1", "prj"))
	if got := uploaded("crt_2", "ns2.example.net"); !slices.Contains(got, "+certificate/crt_2") {
		t.Errorf("a claimed name: %v", got)
	}
}
