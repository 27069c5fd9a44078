package edgeconfig

import (
	"slices"
	"testing"
	"time"
)

func TestValidateTLS(t *testing.T) {
	for _, c := range []struct {
		tls TLS
		at  string
	}{
		{TLS{}, ""},
		{TLS{Policy: PolicyModern}, ""},
		{TLS{Policy: PolicyIntermediate, MinVersion: "1.3"}, ""},
		{TLS{MinVersion: "1.2"}, ""},
		{TLS{Policy: "old"}, "/tls/policy"},
		{TLS{MinVersion: "1.1"}, "/tls/min_version"},
		{TLS{Policy: PolicyModern, MinVersion: "1.2"}, "/tls/min_version"},
	} {
		s := Site{ID: "dom_1", Project: "prj_1", Hosts: []string{"a.test"}, TLS: &c.tls, Pool: Pool{ID: "p", Origins: []Origin{{ID: "o", URL: "http://127.0.0.1"}}}}
		if err := ValidateSite(&s); c.at != "" {
			expect(t, err, c.at)
		} else if err != nil {
			t.Errorf("%+v: %v", c.tls, err)
		}
	}
}

func TestValidateHandshake(t *testing.T) {
	good := func() *Handshake {
		return &Handshake{KeyGroup: "g1", Hour: HourOf(time.Now()), Tickets: []byte{1}, ECH: []ECHKey{{Config: []byte{1}, KeySealed: []byte{1}}}}
	}
	if err := ValidateHandshake(good()); err != nil {
		t.Error(err)
	}
	for at, change := range map[string]func(*Handshake){
		"/key_group": func(h *Handshake) { h.KeyGroup = "" }, "/hour": func(h *Handshake) { h.Hour = 0 }, "/tickets": func(h *Handshake) { h.Tickets = nil },
		"/ech/0": func(h *Handshake) { h.ECH[0].Config = nil }, "/ech": func(h *Handshake) { h.ECH = slices.Repeat(h.ECH, 9) },
	} {
		bad := good()
		change(bad)
		expect(t, ValidateHandshake(bad), at)
	}
}
