package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// millionResult is what dns-million prints.
type millionResult struct {
	Zones, Records int
	LoadSeconds    float64 // taking all documents, decoding and compiling
	DocumentBytes  int64
	RSS            int64
	Changes        []float64 // milliseconds from the arrival of a change to its answer
	Answered       int       // answers to the load beside
}

// benchMillion loads a million records in 10,000 zones and changes single
// records while a load generator asks.
func benchMillion(ctx context.Context, s settings, dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self, "dns-million", "-dir", dir, "-changes", fmt.Sprint(40*s.rounds))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("a million records: %w", err)
	}
	var r millionResult
	if err := json.Unmarshal(out, &r); err != nil {
		return "", err
	}
	slices.Sort(r.Changes)
	at := func(q float64) float64 { return r.Changes[min(int(q*float64(len(r.Changes))), len(r.Changes)-1)] }
	return fmt.Sprintf("\n## A million records in %d zones\n\n| | |\n|---|---:|\n| records | %d |\n| documents | %d MB |\n| resident memory | %d MB |\n| load, from documents to answers | %.1f s |\n"+
		"| one changed record, from its arrival to its answer, while answering %d queries: median | %.2f ms |\n| 99th percentile | %.2f ms |\n| most | %.2f ms |\n",
		r.Zones, r.Records, r.DocumentBytes>>20, r.RSS>>20, r.LoadSeconds, r.Answered, at(.5), at(.99), at(1)), nil
}

// dnsMillion is the command dns-million.
func dnsMillion(args []string) error {
	flags := flag.NewFlagSet("dns-million", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder for the query file")
	changes := flags.Int("changes", 200, "changes to measure")
	zones := flags.Int("zones", 10000, "zones of 100 records")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := ownServer("127.0.0.1:0", "")
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	defer func() { _ = s.Shutdown(context.Background()) }()
	r := millionResult{Zones: *zones}
	var took time.Duration
	for i := range *zones {
		c, err := smallZone(i, 0)
		if err != nil {
			return err
		}
		docs, err := c.documents(1)
		if err != nil {
			return err
		}
		for _, d := range docs {
			r.DocumentBytes += int64(len(d.Body))
		}
		r.Records += 100
		begun := time.Now()
		if err := applyAll(s, docs); err != nil {
			return err
		}
		took += time.Since(begun)
	}
	r.LoadSeconds = took.Seconds()
	debug.FreeOSMemory()
	if r.RSS, err = treeRSS(os.Getpid()); err != nil {
		return err
	}

	load, finish, err := millionLoad(*dir, s.Addr(), *zones)
	if err != nil {
		return err
	}
	conn, err := dns.Dial("udp", s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	for change := range *changes {
		zone := rand.IntN(*zones)
		c, err := smallZone(zone, change+1)
		if err != nil {
			return err
		}
		docs, err := c.documents(int64(change + 2))
		if err != nil {
			return err
		}
		q := new(dns.Msg).SetQuestion(fmt.Sprintf("h00.z%05d.example.", zone), dns.TypeA)
		want := net.IPv4(10, 1, byte((change+1)>>8), byte(change+1)).String()
		begun := time.Now()
		if err := applyAll(s, docs); err != nil {
			return err
		}
		for {
			answer, _, err := (&dns.Client{Timeout: time.Second}).ExchangeWithConn(q, conn)
			if err == nil && len(answer.Answer) == 1 && strings.HasSuffix(answer.Answer[0].String(), "\t"+want) {
				break
			}
			if time.Since(begun) > 10*time.Second {
				return fmt.Errorf("the change of zone %d is not served: %v, %v", zone, err, answer)
			}
		}
		r.Changes = append(r.Changes, float64(time.Since(begun).Microseconds())/1000)
	}
	if err := load.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	if r.Answered, err = finish(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// smallZone has 100 records: 90 addresses, mail, texts and name servers. The
// address of h00 tells the change.
func smallZone(i, change int) (zoneContent, error) {
	var b strings.Builder
	apex := fmt.Sprintf("z%05d.example.", i)
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 3600\n@ IN SOA ns1 hostmaster %d 7200 3600 1209600 300\n@ IN NS ns1\n@ IN NS ns2\nns1 IN A 192.0.2.1\nns2 IN A 192.0.2.2\n@ IN MX 10 h01\n", apex, change+1)
	fmt.Fprintf(&b, "h00 IN A 10.1.%d.%d\n", change>>8&255, change&255)
	for h := 1; h < 90; h++ {
		fmt.Fprintf(&b, "h%02d IN A 198.51.%d.%d\n", h, i%250, h)
	}
	for t := range 4 {
		fmt.Fprintf(&b, "t%d IN TXT \"a text of some length, as they are: %d\"\n", t, i)
	}
	return parseZone(fmt.Sprintf("zon_%05d", i), apex, b.String())
}

// millionLoad asks for random names of all zones, bounded, until interrupted.
func millionLoad(dir, addr string, zones int) (*exec.Cmd, func() (int, error), error) {
	var b strings.Builder
	for range 20000 {
		fmt.Fprintf(&b, "h%02d.z%05d.example. A\n", rand.IntN(90), rand.IntN(zones))
	}
	file := filepath.Join(dir, "million-queries")
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	var out strings.Builder
	cmd := exec.Command(self, "dns-load", "-addr", addr, "-queries", file, "-n", "3000000")
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return cmd, func() (int, error) {
		if err := cmd.Wait(); err != nil {
			return 0, err
		}
		var r loadResult
		if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
			return 0, err
		}
		if r.Wrong > 0 || r.NXDomain > 0 {
			return 0, fmt.Errorf("wrong answers while records change: %+v", r)
		}
		return r.Answers, nil
	}, nil
}
