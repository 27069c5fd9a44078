// Command edgewright is the whole product in one binary: control plane, edge
// node, both together on one machine, and the command line that talks to them.
//
// This package is wiring only. It holds the explicit tables of what exists
// (kinds of resources, issuers, reconcilers) and the three ways to run:
//
//	up       plane + bus in process + one edge per region      (up.go)
//	control  plane + bus with TLS for edges elsewhere           (control.go)
//	edge     one edge that joins a plane                        (edge.go)
//
// A plane (plane.go) is a control plane: store, rooms, fleet, API. A local edge
// (edge.go) is a node with its agent.
package main

import (
	"os"

	"github.com/edgewright/edgewright/cli"
	"github.com/edgewright/edgewright/control/api"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, cli.Servers{
		Version:         version,
		Up:              runUp,
		Control:         runControl,
		Edge:            runEdge,
		Backup:          backup,
		Restore:         restore,
		RotateMasterKey: rotateMasterKey,
		LoginLink:       loginLink,
		OpenAPI:         api.OpenAPI,
	}))
}
