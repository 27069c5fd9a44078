package cli

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/edgewright/edgewright/fault"
)

type dnsTrace struct {
	Name   string   `arg:"" help:"The name to ask for."`
	Type   string   `arg:"" optional:"" default:"A" help:"The type. Default ${default}."`
	At     []string `name:"at" placeholder:"HOST:PORT" help:"Servers to ask. Default: the name servers of the zone."`
	DNSSEC bool     `name:"dnssec" help:"Ask for signatures too."`
}

func (dnsTrace) Help() string {
	return "Each server is asked itself, without recursion and past every cache. Exit status 1 when they disagree.\n\n" + examples(
		"edgewright dns trace www.example.com", "edgewright dns trace example.com MX --at 127.0.0.1:8053 --at 192.0.2.53:53")
}

type tracedServer struct {
	Server  string   `json:"server"`
	Status  string   `json:"status"` // NOERROR, NXDOMAIN, ...; "" when there was no answer
	Serial  uint32   `json:"serial,omitempty"`
	Answers []string `json:"answers"`
	Error   string   `json:"error,omitempty"`
	Millis  float64  `json:"milliseconds"`
}

type traced struct {
	Name    string         `json:"name"`
	Type    string         `json:"type"`
	Agree   bool           `json:"agree"`
	Servers []tracedServer `json:"servers"`
}

func (c *dnsTrace) Run(a *app) error {
	typ, known := typeNumber(c.Type)
	if !known {
		return fault.New(fault.Invalid, "%q is no record type: write one such as A, MX or TXT, or TYPE and its number", c.Type)
	}
	servers := slices.Clone(c.At)
	if len(servers) == 0 {
		cl, err := a.client()
		if err != nil {
			return err
		}
		z, err := cl.Zone(a.ctx, c.Name)
		if err != nil {
			return err
		}
		for _, s := range z.NameServers {
			servers = append(servers, net.JoinHostPort(s, "53"))
		}
	}
	out := traced{Name: strings.TrimSuffix(c.Name, "."), Type: strings.ToUpper(c.Type), Agree: true}
	for i, s := range servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			s = net.JoinHostPort(strings.Trim(s, "[]"), "53")
		}
		t := traceOne(a.ctx, s, c.Name, typ, c.DNSSEC)
		out.Servers = append(out.Servers, t)
		if first := out.Servers[0]; i > 0 && (t.Status != first.Status || !slices.Equal(t.Answers, first.Answers)) || t.Error != "" {
			out.Agree = false
		}
	}
	if err := a.show(out, func() {
		t := a.table("SERVER", "STATUS", "SERIAL", "TIME", "ANSWERS")
		for _, s := range out.Servers {
			what := strings.Join(s.Answers, ", ")
			if s.Error != "" {
				what = s.Error
			}
			t.row(clean(s.Server), s.Status, fmt.Sprint(s.Serial), fmt.Sprintf("%.1f ms", s.Millis), clean(what))
		}
		t.print(a.out)
	}); err != nil {
		return err
	}
	if !out.Agree {
		return status(exitFailed)
	}
	return nil
}

// typeNumber understands the names of types and TYPE65280 (RFC 3597).
func typeNumber(text string) (uint16, bool) {
	text = strings.ToUpper(text)
	if typ, known := dns.StringToType[text]; known {
		return typ, true
	}
	number, generic := strings.CutPrefix(text, "TYPE")
	n, err := strconv.ParseUint(number, 10, 16)
	return uint16(n), generic && err == nil
}

func traceOne(ctx context.Context, server, name string, typ uint16, dnssec bool) tracedServer {
	out := tracedServer{Server: server, Answers: []string{}}
	ask := func(typ uint16) (*dns.Msg, time.Duration, error) {
		q := new(dns.Msg)
		q.SetQuestion(dns.Fqdn(name), typ)
		q.RecursionDesired = false
		q.SetEdns0(1232, dnssec)
		reply, took, err := (&dns.Client{Timeout: 3 * time.Second}).ExchangeContext(ctx, q, server)
		if err == nil && reply.Truncated {
			return (&dns.Client{Net: "tcp", Timeout: 3 * time.Second}).ExchangeContext(ctx, q, server)
		}
		return reply, took, err
	}
	reply, took, err := ask(typ)
	if err != nil {
		out.Error = "no answer: " + fault.Network(err)
		return out
	}
	out.Status, out.Millis = dns.RcodeToString[reply.Rcode], float64(took.Microseconds())/1000
	for _, rr := range reply.Answer {
		out.Answers = append(out.Answers, fmt.Sprintf("%d %s %s", rr.Header().Ttl, dns.TypeToString[rr.Header().Rrtype], strings.TrimPrefix(rr.String(), rr.Header().String())))
	}
	slices.Sort(out.Answers)
	if soa, _, err := ask(dns.TypeSOA); err == nil {
		for _, rr := range slices.Concat(soa.Answer, soa.Ns) {
			if s, ok := rr.(*dns.SOA); ok {
				out.Serial = s.Serial
			}
		}
	}
	return out
}
