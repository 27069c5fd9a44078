package pki

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/fault"
)

// Whatever is uploaded, the answer is a bundle that can be served or a fault that
// says what is wrong; it never panics.
func FuzzCheck(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n")
	f.Add("-----BEGIN", "-----BEGIN EC PRIVATE KEY-----")
	f.Add("\x30\x82", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
	f.Fuzz(func(t *testing.T, chain, key string) {
		b, _, err := Check("shop.example.com", chain, key, time.Unix(1_900_000_000, 0))
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("an error that tells nobody what to do: %v", err)
		}
		if err == nil && (b.ChainPEM == "" || len(b.KeyDER) == 0) {
			t.Error("accepted with nothing to serve")
		}
	})
}

func FuzzPKCS12(f *testing.F) {
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x03}, "password")
	f.Add([]byte("-----BEGIN"), "")
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		if chain, key, err := ReadPKCS12(data, password); err == nil && (chain == "" || key == "") {
			t.Error("accepted with nothing in it")
		}
	})
}
