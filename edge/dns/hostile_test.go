package dns

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestHostileTraffic sends what nobody should, as fast as it goes, over UDP and
// TCP, while a resolver asks. Every question of the resolver is answered, asked
// again at most as often as resolvers do; nothing is left of the rest.
func TestHostileTraffic(t *testing.T) {
	s := start(t, Options{Idle: time.Second, MaxConnsClient: 32}, map[string]string{"example.com.": fullZone})
	s.PutKey(testKey(t, "key_1", transferKey, transferSecret))
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	stop := make(chan struct{})
	var attackers sync.WaitGroup
	attack := func(seed uint64, step func(random *rand.Rand)) {
		attackers.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for range 40_000 { // at most
				select {
				case <-stop:
					return
				default:
				}
				step(random)
			}
		})
	}
	for i := range uint64(2) {
		conn, err := net.Dial("udp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		attack(i, func(random *rand.Rand) {
			_, _ = conn.Write(hostile(random)) // an error is a refusal of an earlier one
		})
	}
	attack(7, func(random *rand.Rand) {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			return // too many: that is the server's right
		}
		defer conn.Close()
		m := hostile(random)
		frame := append(binary.BigEndian.AppendUint16(nil, uint16(len(m)+random.IntN(3)-1)), m...)
		_, _ = conn.Write(frame[:random.IntN(len(frame)+1)])
		if random.IntN(4) == 0 {
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			_, _ = io.Copy(io.Discard, conn)
		}
	})

	asked, again := 0, 0
	conn, err := dns.Dial("udp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 500 {
		q := new(dns.Msg).SetQuestion(fmt.Sprintf("q%d.wild.example.com.", i), dns.TypeA)
		ok := false
		for try := 0; try < 5 && !ok; try++ {
			asked++
			if try > 0 {
				again++
			}
			m, _, err := (&dns.Client{Timeout: time.Second}).ExchangeWithConn(q, conn)
			ok = err == nil && len(m.Answer) == 1
		}
		if !ok {
			t.Fatalf("question %d has no answer", i)
		}
	}
	close(stop)
	attackers.Wait()
	stats := s.Stats()
	t.Logf("%d questions, %d of them again, beside %d queries that could be read and %d datagrams that were none", asked, again, stats.Queries, stats.Dropped)
	if stats.FormErr == 0 || stats.NotImp == 0 || stats.Dropped == 0 {
		t.Errorf("the traffic was not hostile: %+v", stats)
	}
	runtime.GC()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if after.HeapAlloc > before.HeapAlloc+(64<<20) {
		t.Errorf("the heap grew from %d to %d bytes", before.HeapAlloc, after.HeapAlloc)
	}
}

// hostile is a message that is broken in one of many ways.
func hostile(random *rand.Rand) []byte {
	q := question("mail.example.com.", []uint16{dns.TypeA, dns.TypeANY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeOPT, 0}[random.IntN(6)], random.IntN(2) == 0)
	q.Id, q.Opcode = uint16(random.Uint32()), random.IntN(16)
	if random.IntN(3) == 0 {
		q.Opcode = 0
		q.SetTsig(transferKey, dns.HmacSHA256, 300, int64(random.IntN(1<<31)))
	}
	b, err := q.Pack()
	if err != nil {
		b = []byte("no message")
	}
	switch random.IntN(5) {
	case 0:
		for range 1 + random.IntN(8) {
			b[random.IntN(len(b))] = byte(random.Uint32())
		}
	case 1:
		b = b[:random.IntN(len(b))]
	case 2:
		b = append(b, make([]byte, random.IntN(1400))...)
	case 3:
		b = make([]byte, random.IntN(1400))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
	}
	return b
}
