package main

import (
	"context"
	"time"

	"github.com/edgewright/edgewright/control/projects"
	"github.com/edgewright/edgewright/control/resource"
)

// certifyNameServers gives the platform's name servers certificates, in its own
// project, so that clients of DNS over TLS and over HTTPS can verify them by
// name. Who has TLS end elsewhere sets the certificate's type to external.
func (p *plane) certifyNameServers(ctx context.Context) error {
	for _, name := range p.options.zones.NameServers {
		for {
			err := p.issued.Ensure(ctx, operatorProject, projects.DefaultEnvironment, name, resource.Cause{Actor: "system name servers", Via: "system"})
			if err == nil {
				break
			}
			if ctx.Err() == nil {
				p.options.log.Warn("a name server has no certificate; it is tried again", "domain", name, "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Minute):
			}
		}
	}
	return nil
}
