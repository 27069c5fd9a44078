package httpedge

import (
	"net/http"
	"strings"

	"github.com/edgewright/edgewright/edge/request"
)

// findSite finds the site of the request's host. There is no default: an
// unknown host is misdirected (RFC 9110 section 15.5.20), and so is one that the
// connection's certificate does not cover, whatever the client is willing to
// believe.
func (x *exchange) findSite() bool {
	if t := x.r.TLS; t != nil && t.ServerName != x.view.Authority && !x.covered(t.ServerName) {
		return x.fail(http.StatusMisdirectedRequest, sideClient, "The certificate of this connection is not valid for the host of the request.")
	}
	site := x.runtime.Site(x.view.Authority)
	if site == nil {
		return x.fail(http.StatusMisdirectedRequest, sideClient, "This edge serves no site of that name.")
	}
	x.site = site
	return false
}

func (x *exchange) covered(serverName string) bool {
	name, _, err := request.Authority(serverName)
	return err == nil && (name == x.view.Authority || x.runtime.Covers(name, x.view.Authority))
}

// loops is how often a request may come back to edges of this software before
// it is taken for a loop.
const loops = 8

// admit refuses what is not passed on, before anything is asked of an origin.
func (x *exchange) admit() bool {
	if x.body != nil && x.site.MaxBody > 0 && x.r.ContentLength > x.site.MaxBody {
		x.closes = true
		return x.fail(http.StatusRequestEntityTooLarge, sideClient, "The content of the request is larger than this site allows.")
	}
	if x.looped() {
		return x.fail(http.StatusLoopDetected, sideOrigin, "The origin of this site leads back to this edge.")
	}
	if x.view.Path == "*" {
		h := x.w.Header()
		h["Allow"] = []string{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
		h["Content-Length"] = []string{"0"}
		x.head(http.StatusOK)
		return true
	}
	return false
}

// looped reports whether CDN-Loop (RFC 8586) says that the request has passed
// this edge before, or too many others of its kind.
func (x *exchange) looped() bool {
	values := x.r.Header["Cdn-Loop"]
	if values == nil {
		return false
	}
	own, kind := "id="+x.s.o.EdgeID, 0
	for _, value := range values {
		for info := range strings.SplitSeq(value, ",") {
			name, parameters, _ := strings.Cut(info, ";")
			if !strings.EqualFold(strings.TrimSpace(name), pseudonym) {
				continue
			}
			if kind++; kind > loops {
				return true
			}
			for p := range strings.SplitSeq(parameters, ";") {
				if strings.TrimSpace(p) == own {
					return true
				}
			}
		}
	}
	return false
}

// redirect sends http to https. 308 keeps method and content.
func (x *exchange) redirect() bool {
	if x.view.Scheme == "https" || !x.site.RedirectHTTPS {
		return false
	}
	h := x.w.Header()
	location := "https://" + x.view.Authority
	if port := x.runtime.HTTPSPort(); port != "" {
		location += ":" + port
	}
	location += x.view.Path
	if x.view.Query != "" {
		location += "?" + x.view.Query
	}
	h["Location"] = []string{location}
	h["Content-Length"] = []string{"0"}
	if x.body != nil && x.r.ProtoMajor < 2 {
		x.closes = true
		x.body.hurry(refusedContent)
	}
	x.head(http.StatusPermanentRedirect)
	return true
}
