// Package compile joins the rooms: it turns resources into edgeconfig
// documents.
//
// Two layers. Site and Certificate are pure functions: no clock, no I/O, equal
// input gives equal bytes. Compiler keeps a mirror of the resources it has seen
// in events, with reverse indexes, and tells for each event exactly which
// documents change.
//
// What makes which document:
//
//	domain + its claim + its CDN configuration   -> site/<domain id>
//	certificate + bundle + the project's claimed names -> certificate/<certificate id>
//	settings of the platform                     -> platform/settings
//
// A site exists when the domain holds the claim on its name, so that no two
// sites ever answer for one host. A certificate is given to edges only for names
// that its own project and environment have claimed, whatever its leaf says.
//
// What cannot be compiled (a domain whose CDN configuration is missing, a bundle
// that cannot be read) changes nothing: the edge keeps what it has, Problems
// tells why.
package compile

import (
	"context"
	"encoding/json"

	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/resource"
)

// Output is one document that changes: what it shall say, not yet numbered or
// signed.
type Output struct {
	Key     string
	Scope   string // edgeconfig.ScopeAll or an edge's ID
	Body    json.RawMessage
	Deleted bool
}

// Bundles reads chains and keys; *certificates.Service is one.
type Bundles interface {
	Bundle(ctx context.Context, id, generation string) (certificates.Bundle, error)
}

// Kinds are the kinds whose events a Compiler wants.
func Kinds() []resource.Kind {
	return []resource.Kind{"domain", "claim", "cdn", "certificate"}
}
