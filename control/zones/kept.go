package zones

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// operatorProject is the platform's own.
const operatorProject = "default"

// A zone is answered as soon as it exists, and goes before those that others make
// below it. So nobody may make one without proof where that would take what is not
// one tenant's: what is registered below a public suffix, names of the platform,
// and those that its name servers are found by.

// kept says why a project needs the claim on an apex to have its zone; "": it
// needs none.
func (s *Service) kept(apex, project string) string {
	platform := normalName(s.Platform)
	suffix, _ := publicsuffix.PublicSuffix(apex)
	switch {
	case apex == suffix && apex != platform:
		return fmt.Sprintf("%s is a public suffix: people register names below it, write a domain such as yours.%s", apex, apex)
	case project == operatorProject:
		return ""
	case platform != "" && strings.HasSuffix(apex, "."+platform):
		return fmt.Sprintf("names below %s go to who adds them first: add the domain %s (`edgewright domains add %s`)", platform, apex, apex)
	case platform != "" && atOrBelow(platform, apex):
		return fmt.Sprintf("%s is the platform's own domain: its zone is in the project %q, in another verify the domain %s first", platform, operatorProject, apex)
	case slices.ContainsFunc(s.NameServers, func(server string) bool { return atOrBelow(normalName(server), apex) }):
		return fmt.Sprintf("the platform's name servers have names in %s: its zone is in the project %q, in another verify the domain %s first", apex, operatorProject, apex)
	}
	return ""
}

func atOrBelow(name, apex string) bool {
	_, is := within(name, apex)
	return is
}

// normalName brings a name from the command line, which is checked there, into the
// form of an apex.
func normalName(text string) string {
	name, err := canonical(strings.TrimSuffix(text, "."))
	if text == "" || err != nil {
		return ""
	}
	return name
}
