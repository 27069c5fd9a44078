package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/edgewright/edgewright/control/access"
	"github.com/edgewright/edgewright/control/certificates/authority"
	"github.com/edgewright/edgewright/fault"
)

// MoveAuthority says where in the order of use a CA goes.
type MoveAuthority struct {
	Before string `json:"before,omitempty" doc:"The CA that is to be tried next after it. Default: none, it is tried last" maxLength:"64"`
}

type moveAuthorityInput struct {
	AuthorityPath
	InDryRun
	InKey
	Body MoveAuthority
}

func (s *Server) addAuthorityOrder() {
	add(s, op{
		method: http.MethodPost, path: infrastructure + "/certificate-authorities/{authority}/move", id: "authorities-move", tag: "Certificate authorities",
		summary: "Try a CA before or after others",
		doc:     "Changes priorities, of as few CAs as it can. The one of the command line keeps its own; others go before or after it. 409 for one that is switched off.",
		level:   onPlatform, resource: access.Authorities, verb: access.Write, answers: []answerDoc{{http.StatusOK, AuthorityList{}, ""}},
	}, s.moveAuthority)
}

func (s *Server) moveAuthority(ctx context.Context, c *call, in *moveAuthorityInput) (*answer, error) {
	list, err := s.authorities(ctx)
	if err != nil {
		return nil, err
	}
	var order []authority.Place
	for _, a := range list {
		if !a.Disabled {
			order = append(order, authority.Place{Name: a.Name, Priority: a.Priority, Fixed: a.ID == ""})
		} else if a.Name == in.Name {
			return nil, fault.New(fault.Conflict, "it is switched off, so it has no place in the order: switch it on first").About("ca " + in.Name)
		}
	}
	place := func(name string) int {
		return slices.IndexFunc(order, func(p authority.Place) bool { return p.Name == name })
	}
	from := place(in.Name)
	if from < 0 {
		return s.authorityAnswer(ctx, in.Name) // says that there is none
	}
	moved := order[from]
	order = slices.Delete(order, from, from+1)
	to := len(order)
	if in.Body.Before != "" {
		if to = place(in.Body.Before); to < 0 {
			return nil, fault.InvalidField("/before", "there is no other CA of this name that is in use", "name one of the list, or leave it out")
		}
	}
	order = slices.Insert(order, to, moved)
	plan, err := s.cas.MoveCAs(ctx, rearranged(order, from, to))
	if err != nil {
		return nil, err
	}
	if a, err := s.commitOrPlan(ctx, c, plan); a != nil || err != nil {
		return a, err
	}
	return s.listAuthorities(ctx, c, nil)
}

// rearranged is nothing for one that stays where it is.
func rearranged(order []authority.Place, from, to int) map[string]int {
	if from == to {
		return nil
	}
	return authority.Arrange(order, to)
}
