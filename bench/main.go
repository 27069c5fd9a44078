// Command bench measures Edgewright side by side with its peers, in one run,
// interleaved, and writes a Markdown table per suite.
//
//	go run ./bench                 everything
//	go run ./bench http            proxying and cache hits against nginx, HAProxy, Caddy, Varnish and net/http
//	go run ./bench tls             handshakes against nginx, HAProxy and net/http; 100,000 certificates
//	go run ./bench memory          memory at rest and with many sites, look-up, restart
//	go run ./bench dns             UDP answers against Knot, NSD, gdnsd, PowerDNS and BIND; a million records
//	go run ./bench visible         a changed record at ten edges, from the API's answer to theirs
//	go run ./bench certs           a declared name's certificate at four edges, by every challenge
//	go run ./bench store           durable writes per second on SQLite and PostgreSQL
//	go run ./bench fleet           change and purge to acknowledged by N edges
//
// On a shared machine requests per second say little. What is reported is the
// CPU time that a server's whole process tree used per answered request, and
// its ratio to the best peer of the same run: servers share core 0, the client
// and the origin share core 1, and rounds of all servers alternate. Load goes
// to loopback only and every round is bounded in requests.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	// Re-executed as a peer of net/http's own, a name server or a load generator.
	parts := map[string]func([]string) error{"serve": serveNetHTTP, "serve-dns": serveDNS, "dns-load": dnsLoad, "dns-million": dnsMillion}
	if len(os.Args) > 1 && parts[os.Args[1]] != nil {
		if err := parts[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings of a run; every suite reads what concerns it.
type settings struct {
	binary   string // the edgewright under test
	against  string // another one, beside it in the TLS suite; ""
	results  string // folder for the tables
	rounds   int
	requests int
	clients  int
	peers    string // comma-separated; "" all
	only     string // part of the names of http scenarios and handshakes
	sites    int
	agents   string

	countries string // database of countries
}

func run(ctx context.Context, args []string) error {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&s.binary, "binary", "bin/edgewright", "the edgewright `file` to measure")
	flags.StringVar(&s.against, "against", "", "another edgewright `file`, measured beside it in the TLS suite as \"before\"")
	flags.StringVar(&s.results, "results", "bench/results", "`folder` for the Markdown tables")
	flags.IntVar(&s.rounds, "rounds", 5, "interleaved rounds per scenario")
	flags.IntVar(&s.requests, "requests", 20000, "requests per server and round (a tenth of it for 64 KiB, five times as many queries)")
	flags.IntVar(&s.clients, "clients", 64, "connections of the load generator")
	flags.StringVar(&s.peers, "peers", "", "comma-separated `names` of servers to run; empty: all")
	flags.StringVar(&s.only, "only", "", "run the HTTP scenarios or handshakes whose name holds this `text`, like hit")
	flags.IntVar(&s.sites, "sites", 10000, "sites of the memory suite")
	flags.StringVar(&s.agents, "agents", "1,10,330,10000", "agent counts of the fleet suite")
	flags.StringVar(&s.countries, "geo-db", "", "database of countries for the DNS suite: see make geo-db")
	suites := map[string]func(context.Context, settings) (string, error){
		"http": benchHTTP, "tls": benchTLS, "dns": benchDNS, "visible": benchVisible, "certs": benchCerts, "memory": benchMemory, "store": benchStore, "fleet": benchFleet,
	}
	order := []string{"http", "tls", "dns", "visible", "certs", "memory", "store", "fleet"}
	var chosen []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		if suites[args[0]] == nil {
			return fmt.Errorf("there is no suite %q; choose from %s", args[0], strings.Join(order, ", "))
		}
		chosen, args = append(chosen, args[0]), args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if len(chosen) == 0 {
		chosen = order
	}
	if err := os.MkdirAll(s.results, 0o755); err != nil {
		return err
	}
	for _, name := range chosen {
		started := time.Now()
		fmt.Fprintf(os.Stderr, "== %s\n", name)
		table, err := suites[name](ctx, s)
		if table != "" {
			fmt.Println(table)
			file := filepath.Join(s.results, name+".md")
			if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "== %s written to %s after %s\n", name, file, time.Since(started).Round(time.Second))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// install makes sure that programs are there: as root on Debian with apt-get,
// else it fails with the line to run.
func install(ctx context.Context, programs map[string]string) error {
	var packages []string
	for program, pkg := range programs {
		if _, err := exec.LookPath(program); err != nil {
			packages = append(packages, pkg)
		}
	}
	if len(packages) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("peers are missing; run: sudo apt-get install -y %s", strings.Join(packages, " "))
	}
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, packages...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}
