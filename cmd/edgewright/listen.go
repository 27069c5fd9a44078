package main

import (
	"log/slog"
	"net"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/edgewright/edgewright/cli"
	"github.com/edgewright/edgewright/edge/httpedge/handover"
	"github.com/edgewright/edgewright/edge/node"
)

// privileged tells whether this process may bind the standard port, by trying.
func privileged(port string) bool {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// edgeAddresses fills in the default addresses: 80 and 443 when both may be
// bound, else 8080 and 8443, said plainly.
func edgeAddresses(o cli.ListenOptions, log *slog.Logger) (http, https string) {
	http, https = o.ListenHTTP, o.ListenHTTPS
	if http != "" && https != "" {
		return http, https
	}
	httpPort, httpsPort := ":80", ":443"
	if !privileged("80") || !privileged("443") {
		httpPort, httpsPort = ":8080", ":8443"
		log.Warn("ports 80 and 443 may not be bound by this process or are in use; using 8080 and 8443 instead",
			"hint", "run as root, grant CAP_NET_BIND_SERVICE, or choose with --listen-http and --listen-https")
	}
	if http == "" {
		http = httpPort
	}
	if https == "" {
		https = httpsPort
	}
	return http, https
}

// dnsAddress is where the name server listens: at port 53 when that may be bound
// and is free, else 8053, said plainly. A process that takes over from another
// has that one's address.
func dnsAddress(o cli.ListenOptions, inherited *handover.Inheritance, log *slog.Logger) string {
	if o.ListenDNS != "" || inherited.Has(node.SocketDNS) {
		return o.ListenDNS
	}
	if u, err := net.ListenPacket("udp", ":53"); err == nil {
		_ = u.Close()
		if privileged("53") {
			return ":53"
		}
	}
	log.Warn("port 53 may not be bound by this process or is in use; DNS is answered at port 8053 instead",
		"hint", "run as root, grant CAP_NET_BIND_SERVICE, or choose with --listen-dns")
	return ":8053"
}

// newLogger logs to stderr, as text on a terminal and as JSON elsewhere.
func newLogger(o cli.LogOptions, s cli.Streams) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(o.LogLevel))); err != nil {
		level = slog.LevelInfo // the flag's enum allows only levels
	}
	options := &slog.HandlerOptions{Level: level}
	asText := o.LogFormat == "text"
	if o.LogFormat == "auto" || o.LogFormat == "" {
		f, ok := s.Stderr.(*os.File)
		asText = ok && term.IsTerminal(int(f.Fd()))
	}
	if asText {
		return slog.New(slog.NewTextHandler(s.Stderr, options))
	}
	return slog.New(slog.NewJSONHandler(s.Stderr, options))
}
