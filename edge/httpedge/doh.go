package httpedge

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
)

// DNS is the name server behind DNS over HTTPS.
type DNS interface {
	// NameServer reports whether a host is a name server of the platform: DNS is
	// answered there, and never at the host of a tenant's site.
	NameServer(host string) bool
	// Exchange answers a DNS message; nil when it is none. The seconds are how long
	// the answer may be kept.
	Exchange(message []byte, client netip.Addr) (answer []byte, seconds uint32)
}

const (
	dohPath  = "/dns-query"
	dohType  = "application/dns-message"
	dohBytes = 4 << 10 // the longest query
)

// resolve answers DNS over HTTPS (RFC 8484).
func (x *exchange) resolve() bool {
	if x.view.Path != dohPath || x.view.Scheme != "https" || x.s.o.DNS == nil || !x.s.o.DNS.NameServer(x.view.Authority) {
		return false
	}
	x.own = true // of the platform, not of a site
	var message []byte
	var err error
	switch x.view.Method {
	case http.MethodGet, http.MethodHead:
		query, _ := url.ParseQuery(x.view.Query)
		if message, err = base64.RawURLEncoding.DecodeString(query.Get("dns")); err != nil || len(message) == 0 {
			return x.fail(http.StatusBadRequest, sideClient, "The parameter dns is missing, or not a message in base64url without padding.")
		}
	case http.MethodPost:
		if x.view.Header.Get("Content-Type") != dohType {
			return x.fail(http.StatusUnsupportedMediaType, sideClient, "DNS over HTTPS takes "+dohType+".")
		}
		if x.body != nil {
			if message, err = io.ReadAll(io.LimitReader(x.body, dohBytes+1)); err != nil {
				return x.fail(http.StatusBadRequest, sideClient, "The message did not arrive whole.")
			}
		}
	default:
		return x.fail(http.StatusBadRequest, sideClient, "DNS over HTTPS is asked with GET or POST.")
	}
	if len(message) > dohBytes {
		return x.fail(http.StatusRequestEntityTooLarge, sideClient, "A DNS query is at most "+strconv.Itoa(dohBytes)+" bytes.")
	}
	client, _ := netip.ParseAddr(x.view.ClientIP)
	answer, seconds := x.s.o.DNS.Exchange(message, client)
	if answer == nil {
		return x.fail(http.StatusBadRequest, sideClient, "That is no DNS query.")
	}
	h := x.w.Header()
	h["Content-Type"] = []string{dohType}
	h["Cache-Control"] = []string{"max-age=" + strconv.FormatUint(uint64(seconds), 10)}
	h["Content-Length"] = []string{strconv.Itoa(len(answer))}
	x.head(http.StatusOK)
	_, _ = x.write(answer) // a client that has left needs none
	return true
}
