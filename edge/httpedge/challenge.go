package httpedge

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// VerifyPath is where a node asks itself which revision of a document is in
// force: ?key=..., with the process's secret in the field VerifyHeader. The
// answer's fields RevisionHeader and SiteHeader hold the revision and the ID of
// the site that the request's host has found.
const (
	VerifyPath     = "/.well-known/edgewright/verify"
	VerifyHeader   = "X-Edgewright-Verify"
	RevisionHeader = "X-Edgewright-Revision"
	SiteHeader     = "X-Edgewright-Site"
)

// verify answers the node's own question. To everyone else the path is like any
// other.
func (x *exchange) verify() bool {
	if x.view.Path != VerifyPath || !x.fromNode() {
		return false
	}
	x.own = true
	h := x.w.Header()
	if site := x.runtime.Site(x.view.Authority); site != nil {
		h[SiteHeader] = []string{site.ID}
	}
	query, _ := url.ParseQuery(x.view.Query)
	if revision, ok := x.runtime.Revision(query.Get("key")); ok {
		h[RevisionHeader] = []string{strconv.FormatInt(revision, 10)}
	}
	h["Content-Length"] = []string{"0"}
	x.head(http.StatusOK)
	return true
}

// fromNode reports whether the node itself asks.
func (x *exchange) fromNode() bool {
	given := x.view.Header.Get(VerifyHeader)
	return given != "" && x.s.o.Verify != "" && subtle.ConstantTimeCompare([]byte(given), []byte(x.s.o.Verify)) == 1
}

const challengePath = "/.well-known/acme-challenge/"

// challenge answers ACME HTTP-01 (RFC 8555 section 8.3) for hosts that need not
// be sites yet, and before any redirect. A token that is not ours belongs to
// the origin, which may have an ACME client of its own.
func (x *exchange) challenge() bool {
	if !strings.HasPrefix(x.view.Path, challengePath) {
		return false
	}
	answer, ok := x.runtime.Challenge(x.view.Authority, x.view.Path[len(challengePath):])
	if !ok {
		return false
	}
	x.own = x.fromNode()
	h := x.w.Header()
	h["Content-Type"] = []string{"application/octet-stream"}
	h["Cache-Control"] = []string{"no-store"}
	h["Content-Length"] = []string{strconv.Itoa(len(answer))}
	x.head(http.StatusOK)
	_, _ = x.write([]byte(answer)) // a client that has left needs none
	return true
}
