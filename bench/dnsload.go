package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// loadResult is what a run of the load generator has seen.
type loadResult struct {
	Answers, Lost, Wrong, NXDomain, Truncated int
	Seconds                                   float64
}

// The load generator: sockets, each with so many queries under way.
const (
	loadSockets = 8
	loadWindow  = 48
)

// dnsLoad is the command dns-load: it asks a server n questions, as many at a
// time as there are answers, and prints what came back. It runs as a process of
// its own, so that it can have a core of its own.
func dnsLoad(args []string) error {
	flags := flag.NewFlagSet("dns-load", flag.ContinueOnError)
	addr := flags.String("addr", "", "server")
	file := flags.String("queries", "", "file of names and types")
	edns := flags.Int("edns", 0, "0 none, 1 EDNS, 2 EDNS with DO")
	n := flags.Int("n", 100000, "queries")
	if err := flags.Parse(args); err != nil {
		return err
	}
	queries, err := readQueries(*file, *edns)
	if err != nil {
		return err
	}
	started := time.Now()
	var mu sync.Mutex
	var total loadResult
	var failed error
	var left atomic.Int64
	left.Store(int64(*n))
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		<-interrupted
		left.Store(0) // what is under way is waited for
	}()
	var wg sync.WaitGroup
	for s := range loadSockets {
		wg.Go(func() {
			r, err := loadSocket(*addr, queries, s*len(queries)/loadSockets, &left)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			total.Answers += r.Answers
			total.Lost += r.Lost
			total.Wrong += r.Wrong
			total.NXDomain += r.NXDomain
			total.Truncated += r.Truncated
		})
	}
	wg.Wait()
	total.Seconds = time.Since(started).Seconds()
	if failed != nil {
		return failed
	}
	return json.NewEncoder(os.Stdout).Encode(total)
}

// readQueries packs the questions; the ID of each is its number.
func readQueries(file string, edns int) ([][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var queries [][]byte
	for in := bufio.NewScanner(f); in.Scan(); {
		name, typ, _ := strings.Cut(in.Text(), " ")
		m := new(dns.Msg).SetQuestion(name, dns.StringToType[typ])
		m.Id, m.RecursionDesired = uint16(len(queries)), false
		if edns > 0 {
			m.SetEdns0(1232, edns == 2)
		}
		wire, err := m.Pack()
		if err != nil {
			return nil, err
		}
		queries = append(queries, wire)
	}
	if len(queries) == 0 || len(queries) > 65536 {
		return nil, fmt.Errorf("%s has %d questions", file, len(queries))
	}
	return queries, nil
}

func loadSocket(addr string, queries [][]byte, next int, left *atomic.Int64) (r loadResult, err error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return r, err
	}
	conn, err := net.DialUDP("udp", nil, to)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	_ = conn.SetReadBuffer(4 << 20)
	p := ipv4.NewPacketConn(conn)
	in, out := make([]ipv4.Message, loadWindow), make([]ipv4.Message, loadWindow)
	for i := range in {
		in[i].Buffers, out[i].Buffers = [][]byte{make([]byte, 4096)}, [][]byte{nil}
	}
	underWay := 0
	for {
		send := 0
		for ; underWay+send < loadWindow && left.Add(-1) >= 0; send++ {
			out[send].Buffers[0] = queries[next]
			next = (next + 1) % len(queries)
		}
		for sent := 0; sent < send; {
			k, err := p.WriteBatch(out[sent:send], 0)
			if err != nil {
				return r, err
			}
			sent += k
		}
		underWay += send
		if underWay == 0 {
			return r, nil
		}
		if err := conn.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
			return r, err
		}
		got, err := p.ReadBatch(in, 0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.Lost += underWay
			underWay = 0
			continue
		} else if err != nil {
			return r, err
		}
		for i := range got {
			r.take(in[i].Buffers[0][:in[i].N], queries)
		}
		underWay = max(underWay-got, 0)
	}
}

// take looks at one answer: it must be that of the question with its ID.
func (r *loadResult) take(answer []byte, queries [][]byte) {
	if len(answer) < 12 {
		r.Wrong++
		return
	}
	id := int(binary.BigEndian.Uint16(answer))
	if id >= len(queries) || answer[2]&0x80 == 0 {
		r.Wrong++
		return
	}
	end := 12 + bytes.IndexByte(queries[id][12:], 0) + 5
	if len(answer) < end || !bytes.Equal(answer[12:end], queries[id][12:end]) {
		r.Wrong++
		return
	}
	r.Answers++
	switch answer[3] & 15 {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		r.NXDomain++
	default:
		r.Wrong++
	}
	if answer[2]&2 != 0 {
		r.Truncated++
	}
}
