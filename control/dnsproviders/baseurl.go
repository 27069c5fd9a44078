package dnsproviders

import (
	"net/netip"
	"net/url"
)

// APIURL is the field of credentials that says where a provider's API is reached,
// for gateways and proxies. Connections pass the policy of addresses wherever it
// leads, so that no project reaches what the operator has not allowed.
const APIURL = "api_url"

// APIURLField is that field; public is what is used without it.
func APIURLField(public string) Field {
	return Field{Name: APIURL, Check: checkAPIURL, Help: "URL of the API, where it is reached through a gateway. Default: " + public}
}

// checkAPIURL wants TLS for what carries credentials, unless it stays on this
// machine.
func checkAPIURL(value string) (detail, fix string) {
	const example = "write it like https://gateway.example.com/client/v4"
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" {
		return "this is no URL of an API", example
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "an API's URL has no user, query or fragment", example
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && err == nil && ip.IsLoopback()) {
		return "credentials are sent over https, or to a loopback address", example
	}
	return "", ""
}
