package certificates_test

import (
	"encoding/json"
	"testing"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/resource"
)

// A file that is applied again, or a rollback, says nothing of a renewal or a
// revocation: it neither shows them as drift nor takes them back.
func TestPlansLeaveRequestsAlone(t *testing.T) {
	typ := certificates.Type(certificates.ModeLocal)
	for _, c := range []struct{ name, current, wanted, want string }{
		{"renewed since", `{"request":2}`, `{}`, `{"request":2}`},
		{"revoked since", `{"request":1,"revoke":{"serial":"0a","reason":"key_compromise"}}`, `{"key_type":"p384"}`, `{"key_type":"p384","request":1,"revoke":{"serial":"0a","reason":"key_compromise"}}`},
		{"an old file's", `{"request":3}`, `{"request":1,"revoke":{"serial":"0b"}}`, `{"request":3}`},
		{"settings", `{"automatic":true,"key_type":"p384"}`, `{"auto_renew":false}`, `{"auto_renew":false}`},
	} {
		normal := func(spec string) json.RawMessage {
			var fields map[string]any
			if err := json.Unmarshal([]byte(spec), &fields); err != nil {
				t.Fatal(err)
			}
			fields["domains"] = []string{"shop.localhost"}
			text, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			n, err := typ.Normalize("shop.localhost", text)
			if err != nil {
				t.Fatalf("%s: %s: %v", c.name, spec, err)
			}
			return n
		}
		if got, want := typ.Carry(normal(c.current), normal(c.wanted)), normal(c.want); !resource.EqualJSON(got, want) {
			t.Errorf("%s: carried over to %s, want %s", c.name, got, want)
		}
	}
}

// What a user sets in an automatic certificate is declared from then on.
func TestAutomaticCertificatesAreTunedBySettings(t *testing.T) {
	typ := certificates.Type(certificates.ModeAuto)
	for _, domain := range []string{"shop.localhost", "shop.example.com"} {
		made, err := certificates.Automatic(domain, certificates.ModeAuto)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name   string
			change func(*certificates.Spec)
			want   bool
		}{
			{"nothing", func(*certificates.Spec) {}, false},
			{"renewal", func(s *certificates.Spec) { s.Request = 2 }, false},
			{"revocation", func(s *certificates.Spec) { s.Revoke = &certificates.RevokeWish{Serial: "0a"} }, false},
			{"not renewed by itself", func(s *certificates.Spec) { s.AutoRenew = false }, true},
			{"another key", func(s *certificates.Spec) { s.KeyType = "rsa2048" }, true},
			{"more names", func(s *certificates.Spec) { s.Domains = append([]string{domain}, "www."+domain) }, true},
			{"no more automatic", func(s *certificates.Spec) { s.Automatic = false }, true},
		} {
			spec := made
			c.change(&spec)
			if got := typ.Declared(domain, spec.Encode()); got != c.want {
				t.Errorf("%s, %s: declared %v", domain, c.name, got)
			}
		}
	}
}
