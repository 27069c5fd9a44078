package cli

import (
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// ZoneOptions are about the zones that this platform is the authority of.
type ZoneOptions struct {
	NameServers []string `name:"name-servers" env:"EDGEWRIGHT_NAME_SERVERS" placeholder:"NAME" help:"Names that lead to the edges' DNS, given out in pairs to projects for their zones; at least two. Default: names in each zone itself."`
}

func (o *ZoneOptions) check() error {
	if len(o.NameServers) == 1 {
		return fault.New(fault.Invalid, "--name-servers: a zone has two name servers; give at least two names")
	}
	for i, n := range o.NameServers {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		if !strings.Contains(n, ".") || strings.ContainsAny(n, " /:*@") {
			return fault.New(fault.Invalid, "--name-servers: %q is no name of a host; write it like ns1.example.net", o.NameServers[i])
		}
		o.NameServers[i] = n
	}
	return nil
}
