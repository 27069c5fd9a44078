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
