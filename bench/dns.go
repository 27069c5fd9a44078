package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// The scenarios of the DNS suite. Each has its own processes, because a zone is
// signed or not.
var dnsScenarios = []struct {
	name   string
	signed bool
	edns   int // of the load generator: 0 none, 1 without and 2 with DO
}{
	{"unsigned, plain", false, 0},
	{"unsigned, EDNS", false, 1},
	{"signed, DO", true, 2},
}

// nameServer is one program under test, started once for each kind of zone.
type nameServer struct {
	name     string
	unsigned bool // cannot serve a zone that was signed elsewhere
	start    func(ctx context.Context, b *bed, addr string) (process, error)
	addr     map[bool]string // by whether the zone is signed
	process  map[bool]process
}

// benchDNS measures UDP answers for one zone of 10,000 names. This server has
// everything on that the edge has on: limits, cookies, counters, steered names,
// and a database of countries where make geo-db has fetched one. The peers have what their defaults are,
// with limits off and minimal answers.
func benchDNS(ctx context.Context, s settings) (string, error) {
	// Debian's knot, nsd and the others keep their programs where only root looks.
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if err := install(ctx, map[string]string{"taskset": "util-linux", "knotd": "knot", "nsd": "nsd", "gdnsd": "gdnsd", "pdns_server": "pdns-server", "pdnsutil": "pdns-backend-bind", "named": "bind9"}); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "edgewright-bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // some read as another user
		return "", err
	}
	queries := filepath.Join(dir, "queries")
	if err := writeQueries(queries); err != nil {
		return "", err
	}
	servers := []*nameServer{
		{name: "edgewright", start: startOwnDNS},
		{name: "Knot", start: peerDNS("knot.conf", "knotd", "-c")},
		{name: "NSD", start: peerDNS("nsd.conf", "nsd", "-d", "-c")},
		{name: "gdnsd", start: startGdnsd, unsigned: true},
		{name: "PowerDNS", start: startPowerDNS},
		{name: "BIND", start: peerDNS("named.conf", "named", "-f", "-n", "1", "-c")},
	}
	if s.peers != "" {
		servers = slices.DeleteFunc(servers, func(x *nameServer) bool { return !slices.Contains(strings.Split(s.peers, ","), x.name) })
	}
	for _, signed := range []bool{false, true} {
		b := &bed{dir: filepath.Join(dir, fmt.Sprint("signed-", signed)), origin: "127.0.0.1:0", s: s}
		if err := writeZone(b.dir, signed); err != nil {
			return "", err
		}
		for _, x := range servers {
			if signed && x.unsigned {
				continue
			}
			p, err := freePorts("dns")
			if err != nil {
				return "", err
			}
			started, err := x.start(ctx, b, p["dns"])
			if err != nil {
				return "", fmt.Errorf("%s: %w", x.name, err)
			}
			defer started.stop()
			if x.addr == nil {
				x.addr, x.process = map[bool]string{}, map[bool]process{}
			}
			x.addr[signed], x.process[signed] = p["dns"], started
			if err := answersDNS(ctx, p["dns"], signed); err != nil {
				text, _ := os.ReadFile(filepath.Join(b.dir, x.name+".log"))
				return "", fmt.Errorf("%s: %w\n%s", x.name, err, text)
			}
		}
	}
	n := s.requests * 5
	results := map[string]map[string][]float64{} // scenario -> server -> CPU us per answer, of each round
	for _, sc := range dnsScenarios {
		results[sc.name] = map[string][]float64{}
		for round := -1; round < s.rounds; round++ { // round -1 warms up
			for _, x := range servers {
				if sc.signed && x.unsigned {
					continue
				}
				us, err := measureDNS(ctx, x.process[sc.signed].pid, x.addr[sc.signed], queries, sc.edns, n)
				if err != nil {
					return "", fmt.Errorf("%s, %s: %w", x.name, sc.name, err)
				}
				if round >= 0 {
					results[sc.name][x.name] = append(results[sc.name][x.name], us)
				}
			}
		}
		fmt.Fprintf(os.Stderr, "   %s done\n", sc.name)
	}
	table := dnsTable(s, servers, results, n)
	if s.peers == "" {
		million, err := benchMillion(ctx, s, dir)
		if err != nil {
			return table, err
		}
		table += million
	}
	return table, nil
}

func measureDNS(ctx context.Context, pid int, addr, queries string, edns, n int) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	before, err := treeCPU(pid)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "taskset", "-c", "1", self, "dns-load", "-addr", addr, "-queries", queries, "-edns", fmt.Sprint(edns), "-n", fmt.Sprint(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("the load generator: %w", err)
	}
	var r loadResult
	if err := json.Unmarshal(out, &r); err != nil {
		return 0, fmt.Errorf("the load generator said %q: %w", out, err)
	}
	after, err := treeCPU(pid)
	if err != nil {
		return 0, err
	}
	if r.Wrong > 0 || r.Lost > n/20 || r.NXDomain < n/20 || r.Answers < n*9/10 {
		return 0, fmt.Errorf("the answers are not what they should be: %+v", r)
	}
	return float64((after - before).Nanoseconds()) / 1000 / float64(r.Answers), nil
}

func dnsTable(s settings, servers []*nameServer, results map[string]map[string][]float64, n int) string {
	steering := "steering"
	if s.countries == "" {
		steering = "steering (without a database of countries)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# DNS: CPU microseconds per answer\n\n")
	fmt.Fprintf(&b, "Median of %d interleaved rounds (lowest to highest) of %d UDP queries each; one zone of 10,000 names; per hundred queries: 65 for addresses, 10 CNAME, 8 MX, 7 TXT, 5 wildcard, 5 NODATA, 10 NXDOMAIN. ", s.rounds, n)
	fmt.Fprintf(&b, "Edgewright with limits, cookies, counters and %s on; the others with limits off. Signatures: ECDSA P-256, NSEC. %s, %s.\n\n| scenario |", steering, runtime.Version(), time.Now().UTC().Format(time.DateOnly))
	for _, x := range servers {
		fmt.Fprintf(&b, " %s |", x.name)
	}
	fmt.Fprintf(&b, " to the better of Knot and NSD |\n|---|%s\n", strings.Repeat("---:|", len(servers)+1))
	for _, sc := range dnsScenarios {
		fmt.Fprintf(&b, "| %s |", sc.name)
		row := results[sc.name]
		for _, x := range servers {
			if v := row[x.name]; len(v) > 0 {
				fmt.Fprintf(&b, " %.2f (%.2f to %.2f) |", median(v), slices.Min(v), slices.Max(v))
			} else {
				fmt.Fprintf(&b, " – |")
			}
		}
		best := 0.0
		for _, name := range []string{"Knot", "NSD"} {
			if v := row[name]; len(v) > 0 && (best == 0 || median(v) < best) {
				best = median(v)
			}
		}
		if own := row["edgewright"]; len(own) > 0 && best > 0 {
			fmt.Fprintf(&b, " %.2f |\n", median(own)/best)
		} else {
			fmt.Fprintf(&b, " – |\n")
		}
	}
	return b.String()
}

// answersDNS waits until a server answers for the zone, with signatures where
// there are some.
func answersDNS(ctx context.Context, addr string, signed bool) error {
	q := new(dns.Msg).SetQuestion("h00007."+benchZone, dns.TypeA)
	q.SetEdns0(1232, signed)
	var last error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		answer, _, err := (&dns.Client{Timeout: 300 * time.Millisecond}).ExchangeContext(ctx, q, addr)
		want := 1
		if signed {
			want = 2
		}
		switch {
		case err != nil:
			last = err
		case len(answer.Answer) != want || !answer.Authoritative:
			last = fmt.Errorf("it answers %v", answer)
		default:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("no good answer within 20 s: %w", last)
}

// peerDNS starts a peer that takes its configuration file as last argument.
func peerDNS(file, program string, args ...string) func(context.Context, *bed, string) (process, error) {
	return func(ctx context.Context, b *bed, addr string) (process, error) {
		rendered, err := b.render(file, ports{"dns": addr})
		if err != nil {
			return process{}, err
		}
		return b.pinned(ctx, program, append(args, rendered)...)
	}
}

// startGdnsd makes the folder that gdnsd looks for its files in.
func startGdnsd(ctx context.Context, b *bed, addr string) (process, error) {
	rendered, err := b.render("gdnsd.conf", ports{"dns": addr})
	if err != nil {
		return process{}, err
	}
	folder := filepath.Join(b.dir, "gdnsd")
	zone, err := os.ReadFile(filepath.Join(b.dir, "bench.zone"))
	if err = errors.Join(err, os.MkdirAll(filepath.Join(folder, "zones"), 0o755),
		os.Rename(rendered, filepath.Join(folder, "config")),
		os.WriteFile(filepath.Join(folder, "zones", strings.TrimSuffix(benchZone, ".")), zone, 0o644)); err != nil {
		return process{}, err
	}
	return b.pinned(ctx, "gdnsd", "-c", folder, "start")
}

// startPowerDNS tells PowerDNS that a signed zone comes signed.
func startPowerDNS(ctx context.Context, b *bed, addr string) (process, error) {
	rendered, err := b.render("pdns.conf", ports{"dns": addr})
	if err != nil {
		return process{}, err
	}
	zones := fmt.Sprintf("zone %q { type master; file %q; };\n", strings.TrimSuffix(benchZone, "."), filepath.Join(b.dir, "bench.zone"))
	if err := os.WriteFile(filepath.Join(b.dir, "pdns-zones.conf"), []byte(zones), 0o644); err != nil {
		return process{}, err
	}
	commands := [][]string{{"create-bind-db", filepath.Join(b.dir, "pdns.db")}}
	if strings.HasSuffix(b.dir, "true") {
		commands = append(commands, []string{"set-presigned", strings.TrimSuffix(benchZone, ".")})
	}
	for _, c := range commands {
		out, err := exec.CommandContext(ctx, "pdnsutil", append([]string{"--config-dir=" + filepath.Dir(rendered)}, c...)...).CombinedOutput()
		if err != nil {
			return process{}, fmt.Errorf("pdnsutil %s: %w\n%s", c[0], err, out)
		}
	}
	return b.pinned(ctx, "pdns_server", "--config-dir="+filepath.Dir(rendered))
}

// startOwnDNS runs the edge's name server with a zone from a file: see serveDNS.
func startOwnDNS(ctx context.Context, b *bed, addr string) (process, error) {
	self, err := os.Executable()
	if err != nil {
		return process{}, err
	}
	return b.pinned(ctx, self, "serve-dns", "-addr", addr, "-zone", filepath.Join(b.dir, "zone.json"), "-geo-db", b.s.countries)
}
