package domains

import "strings"

// dnsProviders are the DNS providers that are known by the names of their name servers.
// ID is what control/dnsproviders calls them.
var dnsProviders = []struct {
	id, name string
	suffixes []string // of name servers; one that begins with "-" continues the label
}{
	{"cloudflare", "Cloudflare", []string{"ns.cloudflare.com", "foundationdns.com", "foundationdns.net", "foundationdns.org", "secondary.cloudflare.com"}},
	{"route53", "Amazon Route 53", nil}, // awsdns-12.com, see providerOfServer
	{"google", "Google Cloud DNS", []string{"googledomains.com", "google.com"}},
	{"azure", "Azure DNS", []string{"azure-dns.com", "azure-dns.net", "azure-dns.org", "azure-dns.info"}},
	{"digitalocean", "DigitalOcean", []string{"digitalocean.com"}},
	{"hetzner", "Hetzner", []string{"ns.hetzner.com", "ns.hetzner.de", "hetzner.com", "your-server.de", "first-ns.de", "second-ns.de", "second-ns.com"}},
	{"ovh", "OVHcloud", []string{"ovh.net", "ovh.ca", "anycast.me"}},
	{"gandi", "Gandi", []string{"gandi.net"}},
	{"godaddy", "GoDaddy", []string{"domaincontrol.com"}},
	{"namecheap", "Namecheap", []string{"registrar-servers.com"}},
	{"dnsimple", "DNSimple", []string{"dnsimple.com", "dnsimple-edge.net", "dnsimple-edge.org"}},
	{"ns1", "NS1", []string{"nsone.net"}},
	{"porkbun", "Porkbun", []string{"porkbun.com"}},
	{"ionos", "IONOS", []string{"ui-dns.com", "ui-dns.org", "ui-dns.biz", "ui-dns.de"}},
	{"strato", "STRATO", []string{"rzone.de", "strato.de"}},
	{"vercel", "Vercel", []string{"vercel-dns.com"}},
	{"linode", "Akamai (Linode)", []string{"linode.com"}},
	{"vultr", "Vultr", []string{"vultr.com"}},
	{"scaleway", "Scaleway", []string{"dom.scw.cloud", "scaleway.com"}},
	{"inwx", "INWX", []string{"inwx.de", "inwx.com", "inwx.eu"}},
	{"netcup", "netcup", []string{"netcup.net"}},
	{"hostinger", "Hostinger", []string{"dns-parking.com"}},
	{"squarespace", "Squarespace", []string{"squarespacedns.com"}},
	{"wix", "Wix", []string{"wixdns.net"}},
	{"dreamhost", "DreamHost", []string{"dreamhost.com"}},
	{"he", "Hurricane Electric", []string{"he.net"}},
	{"desec", "deSEC", []string{"desec.io", "desec.org"}},
	{"bunny", "bunny.net", []string{"bunny.net"}},
	{"akamai", "Akamai Edge DNS", []string{"akam.net"}},
	{"ultradns", "UltraDNS", []string{"ultradns.com", "ultradns.net", "ultradns.org", "ultradns.biz", "ultradns.info", "ultradns.co.uk"}},
	{"transip", "TransIP", []string{"transip.nl", "transip.net", "transip.eu"}},
	{"infomaniak", "Infomaniak", []string{"infomaniak.ch"}},
	{"namecom", "Name.com", []string{"name.com"}},
	{"alidns", "Alibaba Cloud DNS", []string{"hichina.com", "alidns.com"}},
	{"dnspod", "DNSPod", []string{"dnspod.net", "dnspod.com"}},
	{"yandex", "Yandex Cloud DNS", []string{"yandexcloud.net", "yandex.net"}},
	{"exoscale", "Exoscale", []string{"exoscale.ch", "exoscale.com", "exoscale.io", "exoscale.net"}},
	{"easydns", "easyDNS", []string{"easydns.com", "easydns.net", "easydns.org", "easydns.info"}},
	{"dynu", "Dynu", []string{"dynu.com"}},
	{"duckdns", "Duck DNS", []string{"duckdns.org"}},
}

// providerOf tells which provider serves a zone with these name servers, "" when none
// is known or they belong to several.
func providerOf(servers []string) (id, name string) {
	for i, server := range servers {
		a, b := providerOfServer(server)
		if i > 0 && a != id {
			return "", ""
		}
		id, name = a, b
	}
	return id, name
}

func providerOfServer(server string) (id, name string) {
	server = strings.TrimSuffix(strings.ToLower(server), ".")
	// ns-512.awsdns-00.net, ns-1536.awsdns-00.co.uk
	if labels := strings.Split(server, "."); len(labels) >= 3 && strings.HasPrefix(labels[0], "ns-") && strings.HasPrefix(labels[1], "awsdns-") {
		return "route53", "Amazon Route 53"
	}
	for _, h := range dnsProviders {
		for _, suffix := range h.suffixes {
			if server == suffix || strings.HasSuffix(server, "."+suffix) {
				return h.id, h.name
			}
		}
	}
	return "", ""
}

// Names that lead to a proxy or CDN of somebody else.
var proxies = []struct{ suffix, name string }{
	{"cdn.cloudflare.net", "Cloudflare"},
	{"cloudfront.net", "Amazon CloudFront"},
	{"fastly.net", "Fastly"},
	{"fastlylb.net", "Fastly"},
	{"akamaiedge.net", "Akamai"},
	{"akamai.net", "Akamai"},
	{"edgekey.net", "Akamai"},
	{"edgesuite.net", "Akamai"},
	{"akamaized.net", "Akamai"},
	{"azureedge.net", "Azure CDN"},
	{"azurefd.net", "Azure Front Door"},
	{"b-cdn.net", "bunny.net"},
	{"cdn77.org", "CDN77"},
	{"incapdns.net", "Imperva"},
	{"impervadns.net", "Imperva"},
	{"sucuri.net", "Sucuri"},
	{"kxcdn.com", "KeyCDN"},
	{"gcdn.co", "Gcore"},
	{"cdngc.net", "CDNetworks"},
	{"stackpathdns.com", "StackPath"},
	{"vercel-dns.com", "Vercel"},
	{"netlifyglobalcdn.com", "Netlify"},
	{"netlify.app", "Netlify"},
	{"edgio.net", "Edgio"},
	{"llnwd.net", "Edgio"},
	{"trafficmanager.net", "Azure Traffic Manager"},
}

func proxyOf(target string) string {
	target = strings.TrimSuffix(strings.ToLower(target), ".")
	for _, p := range proxies {
		if target == p.suffix || strings.HasSuffix(target, "."+p.suffix) {
			return p.name
		}
	}
	return ""
}
