package node

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/edge/cache"
	"github.com/edgewright/edgewright/edge/certs"
	"github.com/edgewright/edgewright/edge/dns"
	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edgeconfig"
	"github.com/edgewright/edgewright/fault"
	"github.com/edgewright/edgewright/netguard"
)

// held is one document in force, or its tombstone.
type held struct {
	revision int64
	hash     string
	deleted  bool

	site      *site
	cert      *certs.Entry
	challenge *challengeName
}

// site is what the node keeps of a site beside its compiled form.
type site struct {
	compiled *httpedge.Site
	hosts    []string
	scope    scope
}

// prepared is a document that has passed every check of its own and waits to be
// put into the tables.
type prepared struct {
	doc *edgeconfig.Document
	err error

	site      *edgeconfig.Site
	cert      *certs.Entry
	challenge *edgeconfig.Challenge
	groups    map[string]*groupKey
	platform  *platform
	shared    *shared
	tsig      *dns.Key
	signer    *dns.Signer
	check     *edgeconfig.Check
}

// platform is a compiled Platform document.
type platform struct {
	policy    *netguard.Policy
	httpsPort string
	regions   []edgeconfig.Region

	nameServers map[string]bool
}

// prepare decodes and validates one document, in whatever goroutine. It changes
// nothing. A kind it does not know is an error: the edge is older than the
// control plane.
func (n *Node) prepare(d *edgeconfig.Document, groups map[string]*groupKey) (p prepared) {
	p.doc = d
	if len(d.Body) > edgeconfig.MaxDocumentBytes {
		p.err = fault.New(fault.TooLarge, "the document has %d bytes, the bound is %d", len(d.Body), edgeconfig.MaxDocumentBytes)
		return p
	}
	defer func() {
		// A document must not take the edge down, whatever it holds.
		if r := recover(); r != nil {
			p.err = fault.New(fault.Internal, "the edge stumbled over the document: %v", r)
		}
	}()
	switch d.Kind() {
	case edgeconfig.KindSite:
		p.site = &edgeconfig.Site{}
		if p.err = decode(d, p.site, edgeconfig.ValidateSite); p.err == nil && p.site.ID != d.Name() {
			p.err = fault.New(fault.Invalid, "the document's key names site %s, its body %s", d.Name(), p.site.ID)
		}
	case edgeconfig.KindCertificate:
		var c edgeconfig.Certificate
		if p.err = decode(d, &c, edgeconfig.ValidateCertificate); p.err == nil {
			p.cert, p.err = n.vault.NewEntry(&c, groups)
		}
	case edgeconfig.KindChallenge:
		p.challenge = &edgeconfig.Challenge{}
		p.err = decode(d, p.challenge, edgeconfig.ValidateChallenge)
	case edgeconfig.KindCheck:
		p.check = &edgeconfig.Check{}
		if p.err = decode(d, p.check, edgeconfig.ValidateCheck); p.err == nil && p.check.ID != d.Name() {
			p.err = fault.New(fault.Invalid, "the document's key names check %s, its body %s", d.Name(), p.check.ID)
		}
	case edgeconfig.KindTSIG:
		p.tsig, p.err = openTSIG(d, groups)
	case edgeconfig.KindZoneKeys:
		p.signer, p.err = openZoneKeys(d, groups)
	case edgeconfig.KindKeys:
		p.groups, p.err = n.openGroups(d)
	case edgeconfig.KindHandshake:
		p.shared, p.err = prepareShared(d, groups)
	case edgeconfig.KindPlatform:
		p.platform, p.err = n.preparePlatform(d)
	default:
		p.err = fault.New(fault.Invalid, "this edge does not know documents of kind %q: upgrade it", d.Kind())
	}
	return p
}

func decode[T any](d *edgeconfig.Document, into *T, validate func(*T) error) error {
	// Unknown fields pass: a newer control plane may say more than this edge
	// understands, and what it must understand gets a kind of its own.
	if err := json.Unmarshal(d.Body, into); err != nil {
		return fault.New(fault.Invalid, "the document is not what its kind says: %w", err)
	}
	return validate(into)
}

// openGroups unseals the group keys of a Keys document. Keys that are known
// already stay the same values.
func (n *Node) openGroups(d *edgeconfig.Document) (map[string]*groupKey, error) {
	var k edgeconfig.Keys
	if err := decode(d, &k, func(*edgeconfig.Keys) error { return nil }); err != nil {
		return nil, err
	}
	if n.o.Identity == nil {
		return nil, fault.New(fault.Unavailable, "this edge has no identity to open keys with")
	}
	if n.o.EdgeID != "" && k.Edge != n.o.EdgeID {
		return nil, fault.New(fault.Invalid, "the keys are those of edge %s", k.Edge)
	}
	groups := make(map[string]*groupKey, len(k.Groups))
	for name, box := range k.Groups {
		plain, err := n.o.Identity.Open(edgeconfig.KeyContext(k.Edge, name), box)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the key of group %q does not open with this edge's identity: %w", name, err)
		}
		key := new(groupKey)
		if len(plain) != len(key) {
			return nil, fault.New(fault.Invalid, "the key of group %q has %d bytes instead of %d", name, len(plain), len(key))
		}
		copy(key[:], plain)
		clear(plain)
		groups[name] = key
	}
	return groups, nil
}

func (n *Node) preparePlatform(d *edgeconfig.Document) (*platform, error) {
	var c edgeconfig.Platform
	if err := decode(d, &c, edgeconfig.ValidatePlatform); err != nil {
		return nil, err
	}
	policy, err := netguard.New(append(append([]string(nil), n.o.OriginRanges...), c.OriginRanges...))
	if err != nil {
		return nil, err
	}
	p := &platform{policy: policy, httpsPort: n.listeners.httpsPort(), regions: c.Regions}
	p.nameServers = map[string]bool{}
	for _, host := range c.NameServers {
		p.nameServers[host] = true
	}
	switch c.HTTPSPort {
	case 0:
	case 443:
		p.httpsPort = ""
	default:
		p.httpsPort = strconv.Itoa(c.HTTPSPort)
	}
	return p, nil
}

// compile makes the form of a site that requests meet. The pool it acquires is
// released with the site.
func (n *Node) compile(c *edgeconfig.Site, revision int64) (*site, error) {
	pool, err := n.origins.Acquire(&c.Pool)
	if err != nil {
		return nil, err
	}
	s := &site{
		hosts: c.Hosts,
		scope: scope{strings.Clone(c.Project), strings.Clone(c.Environment)},
		compiled: &httpedge.Site{
			ID: c.ID, Revision: revision, RedirectHTTPS: c.RedirectHTTPS, HSTS: hsts(c.HSTS), MaxBody: c.Limits.MaxBodyBytes,
			TLS:  certs.PolicyOf(c.TLS),
			Pool: pool, Rules: cache.CompilePolicy(c.CacheRules), Counters: n.telemetry.Site(c.ID),
		},
	}
	return s, nil
}

// hsts is the Strict-Transport-Security field (RFC 6797 section 6.1).
func hsts(h *edgeconfig.HSTS) []string {
	if h == nil {
		return nil
	}
	text := fmt.Sprintf("max-age=%d", h.MaxAge)
	if h.IncludeSubdomains {
		text += "; includeSubDomains"
	}
	if h.Preload {
		text += "; preload"
	}
	return []string{text}
}
