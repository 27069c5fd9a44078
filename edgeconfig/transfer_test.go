package edgeconfig

import (
	"errors"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/fault"
)

func TestValidateTransfer(t *testing.T) {
	for name, c := range map[string]struct {
		transfer Transfer
		pointer  string // "": valid
	}{
		"whole":             {Transfer{Keys: []string{"key_1"}, Allow: []string{"192.0.2.0/24", "2001:db8::/32"}, Notify: []string{"192.0.2.1:53", "[2001:db8::1]:53"}}, ""},
		"keys alone":        {Transfer{Keys: []string{"key_1", "key_2"}}, ""},
		"no key":            {Transfer{Allow: []string{"192.0.2.0/24"}}, "/transfer/keys"},
		"too many keys":     {Transfer{Keys: strings.Split("abcdefghi", "")}, "/transfer/keys"},
		"an address":        {Transfer{Keys: []string{"k"}, Allow: []string{"192.0.2.1"}}, "/transfer/allow"},
		"a name to notify":  {Transfer{Keys: []string{"k"}, Notify: []string{"ns1.example.com:53"}}, "/transfer/notify"},
		"no port to notify": {Transfer{Keys: []string{"k"}, Notify: []string{"192.0.2.1"}}, "/transfer/notify"},
		"everywhere":        {Transfer{Keys: []string{"k"}, Notify: []string{"0.0.0.0:53"}}, "/transfer/notify"},
	} {
		t.Run(name, func(t *testing.T) {
			var ch checker
			ch.transfer(&c.transfer)
			checkPointer(t, ch.err(), c.pointer)
		})
	}
}

func TestValidateTSIGKey(t *testing.T) {
	good := TSIGKey{ID: "key_1", Name: "ns1-ns2.example.com", Algorithm: HMACSHA256, KeyGroup: "default", SecretSealed: []byte{1}}
	for name, c := range map[string]struct {
		change  func(*TSIGKey)
		pointer string
	}{
		"whole":        {func(*TSIGKey) {}, ""},
		"no ID":        {func(k *TSIGKey) { k.ID = "" }, "/id"},
		"no name":      {func(k *TSIGKey) { k.Name = "" }, "/name"},
		"upper case":   {func(k *TSIGKey) { k.Name = "NS1.example.com" }, "/name"},
		"trailing dot": {func(k *TSIGKey) { k.Name += "." }, "/name"},
		"MD5":          {func(k *TSIGKey) { k.Algorithm = "hmac-md5.sig-alg.reg.int" }, "/algorithm"},
		"no group":     {func(k *TSIGKey) { k.KeyGroup = "" }, "/key_group"},
		"not sealed":   {func(k *TSIGKey) { k.SecretSealed = nil }, "/secret_sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			k := good
			c.change(&k)
			checkPointer(t, ValidateTSIGKey(&k), c.pointer)
		})
	}
	if err := CheckTSIGSecret(make([]byte, 15)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a short secret: %v", err)
	}
	if err := CheckTSIGSecret(make([]byte, 32)); err != nil {
		t.Error(err)
	}
}

func checkPointer(t *testing.T, err error, pointer string) {
	t.Helper()
	var e *fault.Error
	switch {
	case pointer == "" && err != nil:
		t.Error(err)
	case pointer != "" && (!errors.As(err, &e) || len(e.Fields) == 0 || e.Fields[0].Pointer != pointer):
		t.Errorf("%v does not point at %s", err, pointer)
	}
}
