package dns

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// notice is a version of a zone that secondaries are told of (RFC 1996).
type notice struct {
	apex    string
	soa     []byte // the record
	serial  uint32
	targets []string
	key     string // ID of the key that signs
}

// notifier tells secondaries of new versions: of each zone and target the newest
// one, again until there is an answer. An answer's signature is not looked at:
// who forges one can keep a secondary waiting for its refresh timer, as who drops
// the notice could.
type notifier struct {
	zones *Zones
	log   *slog.Logger
	now   func() time.Time
	from  netip.Addr // invalid: any
	reach func(netip.Addr) error
	ctx   context.Context
	end   context.CancelFunc
	work  sync.WaitGroup
	slots chan struct{}

	mu      sync.Mutex
	running bool
	due     map[noticeTo]*notice // what is to be told, or being told

	sent, unheard atomic.Uint64
}

type noticeTo struct{ apex, target string }

const (
	noticesAtOnce = 64
	noticeTries   = 6 // after 1, 2, 4, 8 and 16 seconds
)

func newNotifier(s *Server) *notifier {
	n := &notifier{zones: s.Zones, log: s.log, now: s.o.Now, reach: s.o.Reach, slots: make(chan struct{}, noticesAtOnce), due: map[noticeTo]*notice{}}
	if a := s.udp[0].addr().Addr(); !a.IsUnspecified() {
		n.from = a // secondaries know their primary by its address
	}
	n.ctx, n.end = context.WithCancel(context.Background())
	return n
}

// tell has the targets of a notice told, when the server runs.
func (n *notifier) tell(what notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, target := range what.targets {
		to := noticeTo{what.apex, target}
		_, there := n.due[to]
		n.due[to] = &what
		if n.running && !there {
			n.work.Go(func() { n.run(to) })
		}
	}
}

func (n *notifier) start() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running = true
	for to := range n.due {
		n.work.Go(func() { n.run(to) })
	}
}

func (n *notifier) stop() {
	n.mu.Lock()
	n.running = false
	n.mu.Unlock()
	n.end()
	n.work.Wait()
}

// run tells one target until it has heard of the newest version.
func (n *notifier) run(to noticeTo) {
	select {
	case n.slots <- struct{}{}:
		defer func() { <-n.slots }()
	case <-n.ctx.Done():
		return
	}
	var told *notice
	wait := time.Second
	for try := 0; ; {
		n.mu.Lock()
		what := n.due[to]
		if what == told {
			delete(n.due, to)
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		rcode, err := n.send(to, what)
		switch {
		case err == nil:
			n.sent.Add(1)
			if rcode != dns.RcodeSuccess {
				n.log.Warn("a secondary does not want to know of a new version", "target", to.target, "serial", what.serial, "rcode", dns.RcodeToString[rcode])
			}
			told, try, wait = what, 0, time.Second
			continue
		case n.ctx.Err() != nil:
			return
		}
		if try++; try == noticeTries {
			n.sent.Add(1)
			n.unheard.Add(1)
			n.log.Warn("a secondary does not answer notices; it will see the new version when its refresh timer ends", "target", to.target, "serial", what.serial, "error", err)
			told, try, wait = what, 0, time.Second
			continue
		}
		select {
		case <-n.ctx.Done():
			return
		case <-time.After(wait):
			wait *= 2
		}
	}
}

// send sends one notice and waits a moment for its answer.
func (n *notifier) send(to noticeTo, what *notice) (rcode int, err error) {
	if a, err := netip.ParseAddrPort(to.target); err != nil {
		return 0, err
	} else if n.reach != nil {
		if err := n.reach(a.Addr()); err != nil {
			return 0, err
		}
	}
	var d net.Dialer
	if n.from.IsValid() {
		d.LocalAddr = &net.UDPAddr{IP: n.from.AsSlice(), Zone: n.from.Zone()}
	}
	conn, err := d.DialContext(n.ctx, "udp", to.target)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(n.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return 0, err
	}
	id := uint16(rand.Uint32())
	if _, err := conn.Write(n.message(what, id)); err != nil {
		return 0, err
	}
	b := make([]byte, 4096)
	for {
		size, err := conn.Read(b)
		if err != nil {
			return 0, err
		}
		if size >= headerSize && binary.BigEndian.Uint16(b) == id && b[2]&(bitQR|0x78) == bitQR|dns.OpcodeNotify<<3 {
			return int(b[3] & 15), nil
		}
	}
}

func (n *notifier) message(what *notice, id uint16) []byte {
	m := binary.BigEndian.AppendUint16(make([]byte, 0, 512), id)
	m = append(m, dns.OpcodeNotify<<3|bitAA, 0, 0, 1, 0, 1, 0, 0, 0, 0)
	m = append(m, what.apex...)
	m = binary.BigEndian.AppendUint16(m, dns.TypeSOA)
	m = binary.BigEndian.AppendUint16(m, dns.ClassINET)
	m = append(m, what.soa...)
	if k := n.zones.key(what.key); k != nil {
		s := signature{key: k, id: id, second: uint64(n.now().Unix())}
		m = s.sign(m)
	}
	return m
}
