package cli

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/client"
)

type certsScore struct{ domainArg }

func (certsScore) Help() string {
	return "Grades what the edges serve by the SSL Labs rating guide, and says for each deduction what to do about it.\n\n" +
		examples("edgewright certs score shop.example.com", "edgewright certs score shop.example.com -o json")
}

func (c *certsScore) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	score, err := cl.CertificateScore(a.ctx, c.Domain)
	if err != nil {
		return err
	}
	return a.show(score, func() { a.printScore(score) })
}

func (a *app) printScore(s *client.ScoreAnswer) {
	grade := a.ink.bold(clean(s.Score.Grade))
	if s.Score.Ignoring != "" {
		grade += clean(" (" + s.Score.Ignoring + " if trust is left out of account)")
	}
	p := a.pairs()
	p.styled("grade", grade)
	p.add("number", fmt.Sprintf("%d of 100", s.Score.Number))
	p.add("protocol", fmt.Sprint(s.Score.Protocol))
	p.add("key exchange", fmt.Sprint(s.Score.KeyExchange))
	p.add("cipher", fmt.Sprint(s.Score.Cipher))
	var edges []string
	for _, e := range s.Edges {
		edges = append(edges, e.Region+" "+e.Grade)
	}
	p.add("edges", strings.Join(edges, ", "))
	p.print(a.out)
	for _, d := range s.Score.Deductions {
		fmt.Fprintf(a.out, "\n%s (%s)\n  %s\n", clean(d.What), clean(d.Cost), a.ink.dim(clean(d.Fix)))
	}
}

// printServed tells how each edge serves a certificate.
func (a *app) printServed(list []client.ServedBy) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	t := a.table("EDGE", "REGION", "SEEN BY", "SERVES", "CHAIN", "AT", "")
	for _, s := range list {
		by, serves := "itself", "another"
		if s.By != s.Edge {
			by = s.By
		}
		switch {
		case s.Current:
			serves = "this one"
		case s.Fingerprint == "":
			serves = "nothing"
		}
		note := cell{text: s.Problem, paint: a.ink.dim}
		if s.Problem == "" {
			note = cell{text: " "}
		}
		t.row(s.Edge, s.Region, by, serves, s.Chain, a.ago(&s.At), note)
	}
	t.print(a.out)
}
