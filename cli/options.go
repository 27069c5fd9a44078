package cli

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// Servers are the functions behind commands that do more than call the API. A
// nil function makes its command say that this build cannot do it. All return
// when their context ends, which is when the process gets SIGINT or SIGTERM; a
// second signal ends the process at once.
type Servers struct {
	// Version is printed by "version" and sent as the User-Agent.
	Version string

	// Up runs everything in this process.
	Up func(ctx context.Context, o UpOptions) error
	// Control runs a control plane without an edge.
	Control func(ctx context.Context, o ControlOptions) error
	// Edge runs one edge node.
	Edge func(ctx context.Context, o EdgeOptions) error

	// Backup writes a backup of a database that may be in use to w.
	Backup func(ctx context.Context, o StoreOptions, w io.Writer) error
	// Restore reads a backup into an empty database. It returns fault.Conflict
	// when the database is not empty.
	Restore func(ctx context.Context, o StoreOptions, r io.Reader) error
	// RotateMasterKey makes a new master key current, seals every secret anew
	// and returns the new key's ID.
	RotateMasterKey func(ctx context.Context, o StoreOptions) (keyID string, err error)
	// LoginLink makes a fresh one-time link below o.URL that signs a browser in
	// as the first owner, straight in the database.
	LoginLink func(ctx context.Context, o StoreOptions) (link string, err error)
	// OpenAPI returns the OpenAPI 3.1 document of the API.
	OpenAPI func() ([]byte, error)
}

// Streams are where a server command prints.
type Streams struct {
	Stdout io.Writer // for machines: the READY line
	Stderr io.Writer // for people: logs and hints
	// Terminal is true when a person looks at Stderr.
	Terminal bool
}

// ListenOptions are the listeners of an edge. Ports may be 0.
type ListenOptions struct {
	ListenHTTP  string `name:"listen-http" env:"EDGEWRIGHT_LISTEN_HTTP" placeholder:"ADDR" help:"Address for HTTP. Default :80 where that is permitted, else :8080."`
	ListenHTTPS string `name:"listen-https" env:"EDGEWRIGHT_LISTEN_HTTPS" placeholder:"ADDR" help:"Address for HTTPS, HTTP/2 and, over UDP, HTTP/3. Default :443 where that is permitted, else :8443."`
	ListenDNS   string `name:"listen-dns" env:"EDGEWRIGHT_LISTEN_DNS" placeholder:"ADDR" help:"Address for DNS over UDP and TCP. Default :53 where that is permitted, else :8053."`
	ListenDoT   string `name:"listen-dot" env:"EDGEWRIGHT_LISTEN_DOT" placeholder:"ADDR" help:"Address for DNS over TLS. Default: none."`
	GeoDB       string `name:"geo-db" env:"EDGEWRIGHT_GEO_DB" placeholder:"FILE" help:"Country database (MaxMind DB format) that DNS answers are steered by. Default: none."`
}

// IssuerOptions say where certificates come from.
type IssuerOptions struct {
	Issuer        string   `env:"EDGEWRIGHT_ISSUER" enum:"auto, acme, local" default:"auto" help:"Who issues certificates: ${enum}. auto: ACME for public names, the local CA for all others."`
	ACMEDirectory string   `name:"acme-directory" env:"EDGEWRIGHT_ACME_DIRECTORY" placeholder:"URL" help:"Directory of the ACME CA. Default: Let's Encrypt."`
	ACMERoot      string   `name:"acme-root" env:"EDGEWRIGHT_ACME_ROOT" placeholder:"FILE" help:"PEM file of the CA that signed the ACME server's own certificate, for a private CA."`
	ACMEStaging   string   `name:"acme-staging" env:"EDGEWRIGHT_ACME_STAGING" placeholder:"URL" help:"Directory of that CA's staging twin, for a rehearsal before a domain's first order; none: no rehearsal. Default: Let's Encrypt's for Let's Encrypt."`
	ACMEProfile   string   `name:"acme-profile" env:"EDGEWRIGHT_ACME_PROFILE" placeholder:"NAME" help:"Profile of that CA's, such as shortlived."`
	ACMEEABKeyID  string   `name:"acme-eab-key-id" env:"EDGEWRIGHT_ACME_EAB_KEY_ID" placeholder:"ID" help:"Key ID of an external account binding, for a CA that wants one."`
	ACMEEABMACKey string   `name:"acme-eab-mac-file" env:"EDGEWRIGHT_ACME_EAB_MAC_FILE" placeholder:"FILE" help:"File with its MAC key, as the CA gives it."`
	Preflight     string   `env:"EDGEWRIGHT_PREFLIGHT" enum:"auto, on, off" default:"auto" help:"Look at DNS, CAA and ports before an order: ${enum}. auto: unless --acme-root names a private CA."`
	ACMEContact   string   `name:"acme-contact" env:"EDGEWRIGHT_ACME_CONTACT" placeholder:"EMAIL" help:"Address the CA may write to."`
	Resolvers     []string `env:"EDGEWRIGHT_RESOLVERS" placeholder:"HOST:PORT" help:"DNS resolvers that domain verification asks. Default: the system's."`
}

// LogOptions shape the log on stderr.
type LogOptions struct {
	LogLevel  string `name:"log-level" env:"EDGEWRIGHT_LOG_LEVEL" enum:"debug, info, warn, error" default:"info" help:"Least level that is logged: ${enum}."`
	LogFormat string `name:"log-format" env:"EDGEWRIGHT_LOG_FORMAT" enum:"auto, text, json" default:"auto" help:"Form of the log: ${enum}. auto: text on a terminal, else json."`
}

// UpOptions are the flags of "up".
type UpOptions struct {
	Streams `kong:"-"`
	Data    string `kong:"-"` // from --data, never empty

	ListenAPI string `name:"listen-api" env:"EDGEWRIGHT_LISTEN_API" default:"127.0.0.1:7070" placeholder:"ADDR" help:"Address of the API and dashboard. Default ${default}."`
	ListenOptions
	IssuerOptions
	DomainOptions
	ZoneOptions
	Regions        []string `env:"EDGEWRIGHT_REGIONS" default:"local" placeholder:"REGION" help:"One edge for each of these regions runs in this process. Default ${default}."`
	PlatformDomain string   `name:"platform-domain" env:"EDGEWRIGHT_PLATFORM_DOMAIN" placeholder:"DOMAIN" help:"Names below this domain need no verification."`
	CacheSize      Size     `name:"cache-size" env:"EDGEWRIGHT_CACHE_SIZE" default:"256MiB" placeholder:"SIZE" help:"Memory for cached responses, all edges of this process together. Default ${default}."`
	Demo           bool     `env:"EDGEWRIGHT_DEMO" help:"Also serve a demo site at https://demo.localhost."`
	Open           bool     `env:"EDGEWRIGHT_OPEN" negatable:"" default:"false" help:"Open the dashboard in the browser when ready."`
	LogOptions
}

// Validate checks what kong's types do not.
func (o *UpOptions) Validate() error {
	return firstError(
		checkAddr("listen-api", o.ListenAPI), checkAddr("listen-http", o.ListenHTTP),
		checkAddr("listen-https", o.ListenHTTPS), checkAddr("listen-dns", o.ListenDNS), checkAddr("listen-dot", o.ListenDoT),
		checkRegions(o.Regions), o.IssuerOptions.check(), o.DomainOptions.check(), o.ZoneOptions.check())
}

// ControlOptions are the flags of "control".
type ControlOptions struct {
	Streams `kong:"-"`
	Data    string `kong:"-"` // from --data, never empty

	Database  string `env:"EDGEWRIGHT_DATABASE" placeholder:"DSN" help:"Path of an SQLite file, or postgres://user:password@host/name. Default: edgewright.db in the data directory."`
	ListenAPI string `name:"listen-api" env:"EDGEWRIGHT_LISTEN_API" default:":7070" placeholder:"ADDR" help:"Address of the API and dashboard, with HTTPS. Default ${default}."`
	PublicURL string `name:"public-url" env:"EDGEWRIGHT_PUBLIC_URL" placeholder:"URL" help:"How browsers and edges reach the API. Default: from the address."`
	TLSCert   string `name:"tls-cert" env:"EDGEWRIGHT_TLS_CERT" and:"tls" placeholder:"FILE" help:"PEM certificate chain of the API. Default: one of the local CA."`
	TLSKey    string `name:"tls-key" env:"EDGEWRIGHT_TLS_KEY" and:"tls" placeholder:"FILE" help:"PEM private key for --tls-cert."`

	ListenBus    string   `name:"listen-bus" env:"EDGEWRIGHT_LISTEN_BUS" default:":7422" placeholder:"ADDR" help:"Address of the bus that edges connect to, with TLS. Default ${default}."`
	BusAdvertise string   `name:"bus-advertise" env:"EDGEWRIGHT_BUS_ADVERTISE" placeholder:"HOST:PORT" help:"How edges reach the bus. Default: the host of the public URL with the bus's port."`
	NATSURL      string   `name:"nats-url" env:"EDGEWRIGHT_NATS_URL" placeholder:"URL" help:"Use this NATS cluster as the bus, in place of the embedded one."`
	NATSRootCA   string   `name:"nats-root-ca" env:"EDGEWRIGHT_NATS_ROOT_CA" placeholder:"FILE" help:"PEM file of the CA that signed that cluster's certificates. Default: the system's roots."`
	OriginRanges []string `name:"allow-origin-ranges" env:"EDGEWRIGHT_ALLOW_ORIGIN_RANGES" placeholder:"CIDR" help:"Private or loopback ranges in which origins may be. Default: none."`

	IssuerOptions
	DomainOptions
	ZoneOptions
	PlatformDomain string `name:"platform-domain" env:"EDGEWRIGHT_PLATFORM_DOMAIN" placeholder:"DOMAIN" help:"Names below this domain need no verification."`
	LogOptions
}

// Validate checks what kong's types do not.
func (o *ControlOptions) Validate() error {
	for _, r := range o.OriginRanges {
		if _, err := netip.ParsePrefix(r); err != nil {
			return fault.New(fault.Invalid, "--allow-origin-ranges: %q is not a range; write it like 10.0.0.0/8 or fd00::/8", r)
		}
	}
	if o.NATSRootCA != "" && o.NATSURL == "" {
		return fault.New(fault.Invalid, "--nats-root-ca is for an external cluster; give its address with --nats-url")
	}
	return firstError(checkAddr("listen-api", o.ListenAPI), checkAddr("listen-bus", o.ListenBus),
		checkAddr("bus-advertise", o.BusAdvertise), o.IssuerOptions.check(), o.DomainOptions.check(), o.ZoneOptions.check())
}

// EdgeOptions are the flags of "edge".
type EdgeOptions struct {
	Streams `kong:"-"`
	Data    string `kong:"-"` // from --data, never empty
	Token   string `kong:"-"` // from --token: the one-time join token
	RootCA  []byte `kong:"-"` // from --root-ca: PEM; nil: the system's roots

	Join   string `env:"EDGEWRIGHT_JOIN" placeholder:"URL" help:"Control plane to join. Not needed again once joined."`
	Region string `env:"EDGEWRIGHT_REGION" placeholder:"REGION" help:"Region this edge is in, like fra."`
	Name   string `env:"EDGEWRIGHT_NAME" placeholder:"NAME" help:"Name of this edge. Default: the host's name."`
	ListenOptions
	CacheSize Size `name:"cache-size" env:"EDGEWRIGHT_CACHE_SIZE" default:"256MiB" placeholder:"SIZE" help:"Memory for cached responses. Default ${default}."`
	LogOptions
}

// Validate checks what kong's types do not.
func (o *EdgeOptions) Validate() error {
	var regions []string
	if o.Region != "" {
		regions = []string{o.Region}
	}
	return firstError(checkAddr("listen-http", o.ListenHTTP), checkAddr("listen-https", o.ListenHTTPS), checkAddr("listen-dns", o.ListenDNS), checkAddr("listen-dot", o.ListenDoT), checkRegions(regions))
}

// StoreOptions name a database on this machine.
type StoreOptions struct {
	Data     string `kong:"-"` // from --data, never empty
	URL      string `kong:"-"` // for LoginLink: how browsers reach the control plane
	Database string `env:"EDGEWRIGHT_DATABASE" placeholder:"DSN" help:"Path of an SQLite file, or postgres://user:password@host/name. Default: edgewright.db in the data directory."`
}

// Size is a number of bytes, written like 512MiB, 2GB or 1048576.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"kib", 1 << 10},
	{"mib", 1 << 20},
	{"gib", 1 << 30},
	{"tib", 1 << 40},
	{"kb", 1e3},
	{"mb", 1e6},
	{"gb", 1e9},
	{"tb", 1e12},
	{"k", 1 << 10},
	{"m", 1 << 20},
	{"g", 1 << 30},
	{"t", 1 << 40},
	{"b", 1},
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	value, factor := strings.ToLower(strings.TrimSpace(string(text))), 1.0
	for _, unit := range sizeUnits {
		if rest, ok := strings.CutSuffix(value, unit.suffix); ok {
			value, factor = strings.TrimSpace(rest), unit.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n >= 0) || n*factor >= 1<<62 {
		return fault.New(fault.Invalid, "%q is not a size; write it like 512MiB, 2GB or 1048576", text)
	}
	*s = Size(n * factor)
	return nil
}

func (o *IssuerOptions) check() error {
	if (o.ACMEEABKeyID == "") != (o.ACMEEABMACKey == "") {
		return fault.New(fault.Invalid, "an external account binding needs both --acme-eab-key-id and --acme-eab-mac-file")
	}
	for i, r := range o.Resolvers {
		host, port, err := net.SplitHostPort(r)
		if err != nil {
			host, port = strings.Trim(r, "[]"), "53"
		}
		if host == "" || strings.ContainsAny(host, " /") || !validPort(port) {
			return fault.New(fault.Invalid, "--resolvers: %q is not a resolver; write it like 9.9.9.9:53 or [2620:fe::fe]:53", r)
		}
		o.Resolvers[i] = net.JoinHostPort(host, port)
	}
	return nil
}

func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

// checkAddr accepts "", host:port and :port.
func checkAddr(flag, addr string) error {
	if addr == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil || !validPort(port) {
		return fault.New(fault.Invalid, "--%s: %q is not an address; write it like 127.0.0.1:7070, [::1]:7070 or :7070", flag, addr)
	}
	return nil
}

// checkRegions accepts lower-case labels, since a region becomes part of names.
func checkRegions(regions []string) error {
	seen := map[string]bool{}
	for _, r := range regions {
		if !isLabel(r) {
			return fault.New(fault.Invalid, "region %q: use up to 32 lower-case letters, digits and hyphens, like fra or eu-west", r)
		}
		if seen[r] {
			return fault.New(fault.Invalid, "region %q is named twice; leave one out", r)
		}
		seen[r] = true
	}
	return nil
}

func isLabel(s string) bool {
	if s == "" || len(s) > 32 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// DefaultData is the data directory when --data is not given:
// $XDG_DATA_HOME/<name>, ~/.local/share/<name>, or /var/lib/<name> for a
// service without a home.
func DefaultData(name string) string {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, name)
	}
	if home, err := os.UserHomeDir(); err == nil && home != "" && home != "/" {
		return filepath.Join(home, ".local", "share", name)
	}
	return filepath.Join("/var/lib", name)
}
