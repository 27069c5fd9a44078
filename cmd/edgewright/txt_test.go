package main

import (
	"context"
	"testing"

	"github.com/edgewright/edgewright/control/acme"
	"github.com/edgewright/edgewright/fault"
)

type holds map[string]bool

func (h holds) Verified(_ context.Context, project, _, domain string) (bool, error) {
	return h[project+" "+domain], nil
}

type anyTXT struct{}

func (anyTXT) ChooseTXT(context.Context, string, string, string, string) (acme.TXTPresenter, error) {
	return zoneWriter{}, nil
}

// Whatever credentials or zones a project has, a challenge is written for names
// alone that are its own.
func TestChallengesOfVerifiedNamesOnly(t *testing.T) {
	c := ownedTXT{holds{"p shop.example.com": true, "p *.wild.example.com": true}, anyTXT{}}
	for _, test := range []struct {
		project, name string
		want          bool
	}{
		{"p", "shop.example.com", true},
		{"p", "*.shop.example.com", true},
		{"p", "*.wild.example.com", true},
		{"p", "wild.example.com", true},
		{"p", "example.com", false},
		{"p", "a.shop.example.com", false},
		{"q", "shop.example.com", false},
	} {
		presenter, err := c.ChooseTXT(t.Context(), test.project, "production", test.name, "_acme-challenge."+test.name)
		if (err == nil) != test.want || test.want != (presenter != nil) || err != nil && !fault.Is(err, fault.NotFound) {
			t.Errorf("%s for %s: %v, %v", test.name, test.project, presenter, err)
		}
	}
}
