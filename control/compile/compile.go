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
//	zone + the version made of it                -> zone/<zone id>, zonepart/<zone id>/<n>, check/<check id>,
//	                                                zonekeys/<zone id> when edges sign too
//	TSIG key + its secret                        -> tsig/<key id>
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
	"fmt"
	"maps"
	"slices"

	"github.com/edgewright/edgewright/control/cdn"
	"github.com/edgewright/edgewright/control/certificates"
	"github.com/edgewright/edgewright/control/certificates/pki"
	"github.com/edgewright/edgewright/control/domains"
	"github.com/edgewright/edgewright/control/resource"
	"github.com/edgewright/edgewright/control/zones"
	"github.com/edgewright/edgewright/control/zones/tsig"
	"github.com/edgewright/edgewright/edgeconfig"
)

// Output is one document that changes: what it shall say, not yet numbered or
// signed.
type Output struct {
	Key     string
	Scope   string // edgeconfig.ScopeAll or an edge's ID
	Body    json.RawMessage
	Deleted bool
	Asked   bool // somebody wants it gone, or what it said is said elsewhere
	// Cause is the revision that the document comes from, when it is not that
	// of the event: a claim, which nobody makes by hand, only lets the domain's
	// site appear.
	Cause int64
}

// Bundles reads chains and keys; *provision.Service is one.
type Bundles interface {
	Bundle(ctx context.Context, id string, generation string) (pki.Bundle, error)
}

// Kinds are the kinds whose events a Compiler wants.
func Kinds() []resource.Kind {
	return []resource.Kind{domains.Kind, domains.KindClaim, cdn.Kind, certificates.Kind, zones.Kind, tsig.Kind}
}

// Compiler tells which documents change with each event. It is used from one
// goroutine, but Problems may be read from any.
type Compiler struct {
	bundles  Bundles
	platform edgeconfig.Platform
	key      GroupKey
	mirror   *mirror
	problems *problems

	// given are the names that each certificate was last compiled for.
	given map[string][]string
	// waiting are certificates whose bundle could not be read; they are tried
	// again with the next event.
	waiting map[string]bool

	zones    Zones // nil: none
	said     map[string]zoneSaid
	leaving  map[string][]leavingZone     // by the ID of the zone that takes their place
	recalled map[string]string            // apexes of zones that were published, by ID, until something declares them
	servers  map[string][]string          // names of name servers, by zone
	online   map[string][]zones.OnlineKey // that edges sign with, by zone

	secrets Secrets // of TSIG keys; nil: there are none
	keys    map[string]tsig.Key
}

// New returns a Compiler that has seen nothing.
func New(bundles Bundles, platform edgeconfig.Platform) *Compiler {
	c := &Compiler{bundles: bundles, platform: platform, problems: newProblems()}
	c.Reset()
	return c
}

// Reset forgets what was seen. It is called before events are sent from the
// beginning: a control plane that was not the leader has missed deletions.
func (c *Compiler) Reset() {
	c.mirror, c.given, c.waiting = newMirror(c.platform.NameServers), map[string][]string{}, map[string]bool{}
	c.said, c.servers, c.keys = map[string]zoneSaid{}, map[string][]string{}, map[string]tsig.Key{}
	c.online, c.leaving, c.recalled = map[string][]zones.OnlineKey{}, map[string][]leavingZone{}, map[string]string{}
	c.problems.reset()
}

// SetGroupKey seals with a key from now on and returns the documents that
// change with it: all certificates, and the settings of the platform, which
// belong to no resource. It is called before the first event.
func (c *Compiler) SetGroupKey(group string, key [32]byte) []Output {
	c.key = GroupKey{group, key}
	outputs := []Output{output(edgeconfig.KindPlatform+"/settings", c.settings())}
	for _, id := range slices.Sorted(maps.Keys(c.mirror.certificates)) {
		outputs = append(outputs, c.certificate(id)...)
	}
	for _, id := range slices.Sorted(maps.Keys(c.keys)) {
		outputs = append(outputs, c.tsigKey(c.keys[id])...)
	}
	return append(outputs, c.allZoneKeys()...)
}

// Apply takes an event into the mirror and returns the documents that change.
// A document is returned whenever something it is made of may have changed; its
// body may be as before.
func (c *Compiler) Apply(event resource.Event) []Output {
	switch event.Resource.Kind {
	case zones.Kind:
		return c.zone(event)
	case tsig.Kind:
		return c.tsig(event)
	}
	affected, err := c.mirror.apply(event)
	if err != nil {
		c.problems.set(event.Resource.ID, fmt.Errorf("it cannot be read: %w", err))
		return nil
	}
	for id := range c.waiting {
		affected.certificates = append(affected.certificates, id)
	}
	for _, id := range affected.sharers {
		if crt, ok := c.mirror.certificates[id]; ok && !slices.Equal(c.mirror.givenNames(crt), c.given[id]) {
			affected.certificates = append(affected.certificates, id)
		}
	}
	var outputs []Output
	for _, id := range sortedUnique(affected.sites) {
		sites := c.site(id)
		if event.Resource.Kind == domains.KindClaim {
			for i := range sites {
				if !sites[i].Deleted {
					sites[i].Cause = c.mirror.wished(id)
				}
			}
		}
		outputs = append(outputs, sites...)
	}
	for _, id := range sortedUnique(affected.certificates) {
		outputs = append(outputs, c.certificate(id)...)
	}
	return outputs
}

// Problems tells, by resource ID, what could not be compiled and why.
func (c *Compiler) Problems() map[string]string { return c.problems.all() }

// site compiles one domain: gone without the domain or its claim, unchanged
// when it cannot be compiled.
func (c *Compiler) site(id string) []Output {
	key := edgeconfig.KindSite + "/" + id
	d, ok := c.mirror.domains[id]
	if !ok || !c.mirror.holds(d) {
		c.problems.clear(id)
		return []Output{{Key: key, Scope: edgeconfig.ScopeAll, Deleted: true}}
	}
	conf, ok := c.mirror.cdnOf(d)
	if !ok {
		c.problems.set(id, fmt.Errorf("there is no CDN configuration named %s: create it, or name another in the domain", d.Spec.CDN))
		return nil
	}
	s, err := Site(d, conf)
	if err != nil {
		c.problems.set(id, err)
		return nil
	}
	c.problems.clear(id)
	return []Output{output(key, s)}
}

// certificate compiles one certificate: gone without the resource, a bundle, or
// a claimed name.
func (c *Compiler) certificate(id string) []Output {
	key := edgeconfig.KindCertificate + "/" + id
	delete(c.waiting, id)
	crt, ok := c.mirror.certificates[id]
	var names []string
	if ok {
		names = c.mirror.givenNames(crt)
	}
	if c.given[id] = names; len(names) == 0 {
		delete(c.given, id)
	}
	if len(names) == 0 || crt.Status.Generation == "" {
		c.problems.clear(id)
		return []Output{{Key: key, Scope: edgeconfig.ScopeAll, Deleted: true}}
	}
	bundle, err := c.bundles.Bundle(context.Background(), id, crt.Status.Generation)
	if err != nil {
		c.waiting[id] = true
		c.problems.set(id, fmt.Errorf("its chain and key cannot be read: %w", err))
		return nil
	}
	out, err := Certificate(crt, bundle, names, c.key)
	if err != nil {
		c.problems.set(id, err)
		return nil
	}
	c.problems.clear(id)
	return []Output{output(key, out)}
}

func output(key string, body any) Output {
	b, err := json.Marshal(body)
	if err != nil {
		panic("compile: documents hold only what JSON can hold: " + err.Error())
	}
	return Output{Key: key, Scope: edgeconfig.ScopeAll, Body: b}
}

func sortedUnique(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}
