package cli

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/client"
)

type statusCommand struct{}

func (statusCommand) Help() string {
	return "Exit status 0: all is well, or on its way. 1: something needs you (a failed domain or certificate, an edge that is away), or the control plane does not answer.\n\n" +
		examples("edgewright status", "edgewright status -o json", "edgewright status -e staging && ./deploy.sh")
}

// overview is the answer of status.
type overview struct {
	URL          string               `json:"url"`
	Version      string               `json:"version"`
	Project      string               `json:"project_id"`
	Environment  string               `json:"environment"`
	OK           bool                 `json:"ok"`
	Problems     []string             `json:"problems"`
	Edges        []client.Edge        `json:"edges"`
	Domains      []client.Domain      `json:"domains"`
	Certificates []client.Certificate `json:"certificates"`
}

func (statusCommand) Run(a *app) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	session, err := c.Session(a.ctx)
	if err != nil {
		return err
	}
	o := overview{URL: c.URL(), Version: session.Version, Project: c.Project(), Environment: c.Environment(), Problems: []string{}}
	if err := c.Ready(a.ctx); err != nil {
		o.Problems = append(o.Problems, "the control plane is not ready: "+err.Error())
	}
	if o.Edges, err = client.Collect(c.Edges(a.ctx)); err != nil {
		return err
	}
	if o.Domains, err = client.Collect(c.Domains(a.ctx)); err != nil {
		return err
	}
	if o.Certificates, err = client.Collect(c.Certificates(a.ctx)); err != nil {
		return err
	}
	o.judge()
	if err := a.show(o, func() { o.print(a) }); err != nil {
		return err
	}
	if !o.OK {
		return status(exitFailed)
	}
	return nil
}

// judge lists what needs a person.
func (o *overview) judge() {
	if len(o.Edges) == 0 {
		o.Problems = append(o.Problems, "no edge has joined; make a token with \"edgewright edges join-token\"")
	}
	for _, e := range o.Edges {
		if e.State == client.EdgeOffline {
			o.Problems = append(o.Problems, fmt.Sprintf("edge %s is away", e.Name))
		}
	}
	for _, d := range o.Domains {
		if d.Status == client.DomainError {
			o.Problems = append(o.Problems, "domain "+d.Display+": "+domainTrouble(d))
		}
	}
	for _, cert := range o.Certificates {
		switch cert.State {
		case client.CertFailed, client.CertExpired:
			text := "certificate of " + strings.Join(cert.Domains, ", ") + " " + cert.State
			if reason := certTrouble(cert); reason != "" {
				text += ": " + reason
			}
			o.Problems = append(o.Problems, text)
		}
	}
	o.OK = len(o.Problems) == 0
}

// domainTrouble is the first thing that is not as it should be.
func domainTrouble(d client.Domain) string {
	if d.Certificate.Reason != "" {
		return strings.TrimSpace(d.Certificate.Reason + " " + d.Certificate.Fix)
	}
	for _, c := range d.Conditions {
		if c.Status == "false" && c.Message != "" {
			return c.Message
		}
	}
	return "see \"edgewright domains show " + d.Domain + "\""
}

func (o *overview) print(a *app) {
	fmt.Fprintf(a.out, "%s %s  %s\n", a.ink.bold("Edgewright"), clean(o.Version), a.ink.dim(o.URL+"  "+o.Project+"/"+o.Environment))
	fmt.Fprintln(a.out)
	if len(o.Edges) > 0 {
		a.printEdges(o.Edges)
		fmt.Fprintln(a.out)
	}
	if len(o.Domains) > 0 {
		a.printDomains(o.Domains)
	} else {
		fmt.Fprintln(a.out, "No domains. Add one: edgewright domains add shop.localhost --origin http://127.0.0.1:3000")
	}
	if len(o.Certificates) > 0 {
		fmt.Fprintln(a.out)
		a.printCertificates(o.Certificates)
	}
	fmt.Fprintln(a.out)
	if o.OK {
		waiting := 0
		for _, d := range o.Domains {
			if d.Status == client.DomainPending {
				waiting++
			}
		}
		switch waiting {
		case 0:
			fmt.Fprintln(a.out, a.ink.green("All is well."))
		case 1:
			fmt.Fprintln(a.out, `Nothing fails. 1 domain waits for its proof: "edgewright domains show NAME" says which record to set.`)
		default:
			fmt.Fprintf(a.out, "Nothing fails. %d domains wait for their proof: \"edgewright domains show NAME\" says which record to set.\n", waiting)
		}
		return
	}
	for _, p := range o.Problems {
		fmt.Fprintln(a.out, a.ink.red("! ")+clean(p))
	}
}
