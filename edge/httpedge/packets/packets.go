//go:build unix

// Package packets lets two processes share the UDP socket of HTTP/3 while one
// takes over from the other.
//
// Every process marks the connection IDs it gives out with four random bytes of
// its own. Only one process reads the socket: packets with the mark of a
// predecessor are passed on to it over a Unix socket, all others,
// among them those of new connections, are its own. A process that has let go of
// the socket reads what is passed on to it, and passes on in turn what belongs to
// its own predecessor. All of them write to the UDP socket themselves.
//
//	Conn         the socket as quic-go sees it, passing on what is not its own,
//	              and the generator of marked connection IDs
package packets

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"

	"github.com/edgewright/edgewright/fault"
)

const (
	markBytes = 4
	idBytes   = 12
)

type mark [markBytes]byte

// Conn is the UDP socket of one process. It implements quic-go's
// OOBCapablePacketConn, and reads in batches.
type Conn struct {
	*net.UDPConn
	batch *ipv4.PacketConn
	mark  mark

	// Predecessors: the marks of all, and the way to the last.
	older       []mark
	predecessor *net.UnixConn
	alone       chan struct{} // closed when no predecessor lives

	released atomic.Bool
	inbox    *net.UnixConn // set before released
	space    []byte        // of the one reader

	mu     sync.Mutex
	closed bool
}

var _ quic.OOBCapablePacketConn = (*Conn)(nil)

// NewConn returns the socket of a process that has no predecessor.
func NewConn(udp *net.UDPConn) *Conn {
	c := newConn(udp)
	close(c.alone)
	return c
}

func newConn(udp *net.UDPConn) *Conn {
	c := &Conn{UDPConn: udp, batch: ipv4.NewPacketConn(udp), space: make([]byte, 2048), alone: make(chan struct{})}
	_, _ = rand.Read(c.mark[:])
	return c
}

// Succeed returns the socket of a process that follows another: lineage is what
// the predecessor's Lineage returned, way leads to it and ends with it.
func Succeed(udp *net.UDPConn, lineage string, way *net.UnixConn) (*Conn, error) {
	c := newConn(udp)
	for text := range strings.SplitSeq(lineage, ",") {
		var m mark
		if n, err := hex.Decode(m[:], []byte(text)); err != nil || n != markBytes {
			return nil, fault.New(fault.Invalid, "%q is not the lineage of a QUIC socket", lineage)
		}
		c.older = append(c.older, m)
	}
	c.predecessor = way
	go func() {
		defer close(c.alone)
		var word [1]byte
		for {
			if _, err := way.Read(word[:]); err != nil {
				return // it says nothing; this is its end, or Close
			}
		}
	}()
	return c, nil
}

// Alone is closed when no predecessor lives whose packets must be passed on.
// Until then a process that is released must go on reading: its successor
// reaches older ones only through it.
func (c *Conn) Alone() <-chan struct{} { return c.alone }

// Lineage is what a successor must know to tell this process's packets, and
// those of its predecessors, from its own.
func (c *Conn) Lineage() string {
	var b strings.Builder
	b.WriteString(hex.EncodeToString(c.mark[:]))
	for _, m := range c.older {
		b.WriteByte(',')
		b.WriteString(hex.EncodeToString(m[:]))
	}
	return b.String()
}

// Release stops reading the UDP socket and reads from the successor instead.
// When it returns the successor may read.
func (c *Conn) Release(inbox *net.UnixConn) {
	c.inbox = inbox
	_ = inbox.SetReadBuffer(4 << 20)
	c.released.Store(true)
	_ = c.UDPConn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader, for good
}

// Released reports whether a successor reads the socket.
func (c *Conn) Released() bool { return c.released.Load() }

// SetReadDeadline implements net.PacketConn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.released.Load() {
		return c.inbox.SetReadDeadline(t)
	}
	return c.UDPConn.SetReadDeadline(t)
}

// Close closes the socket and the ways to the processes before and after.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	err := c.UDPConn.Close()
	if c.predecessor != nil {
		err = errors.Join(err, c.predecessor.Close())
		<-c.alone
	}
	if c.released.Load() {
		err = errors.Join(err, c.inbox.Close())
	}
	return err
}

// ReadBatch implements what quic-go reads with.
func (c *Conn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	if !c.released.Load() {
		n, err := c.batch.ReadBatch(ms, flags)
		if err == nil {
			for i := range ms[:n] {
				if c.older != nil && len(ms[i].Buffers) > 0 && c.pass(ms[i].Buffers[0][:ms[i].N], ms[i].Addr) {
					ms[i].N = 0 // quic-go skips what is empty
				}
			}
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !c.released.Load() {
			return n, err
		}
	}
	for {
		n, err := c.inbox.Read(c.space)
		if err != nil {
			return 0, err
		}
		packet, addr, ok := open(c.space[:n])
		if !ok || c.older != nil && c.pass(packet, addr) {
			continue
		}
		ms[0].N = copy(ms[0].Buffers[0], packet)
		ms[0].NN, ms[0].Flags, ms[0].Addr = 0, 0, addr
		return 1, nil
	}
}

// pass sends a packet of a predecessor's connection on to it.
func (c *Conn) pass(packet []byte, from net.Addr) bool {
	m, ok := markOf(packet)
	if !ok || !slices.Contains(c.older, m) {
		return false
	}
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return false
	}
	// A full socket drops the packet, as the network would; QUIC sends it again.
	if err := send(c.predecessor, seal(packet, udp.AddrPort())); err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.ENOBUFS) {
		return false // the predecessor is gone: the answer is a stateless reset
	}
	return true
}

// send writes a datagram without waiting.
func send(c *net.UnixConn, b []byte) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Write(func(fd uintptr) bool {
		_, sent = syscall.Write(int(fd), b)
		return true
	}); err != nil {
		return err
	}
	return sent
}

// markOf returns the mark of the connection ID that a packet is sent to. IDs of
// other lengths are not ours: a client makes one up for its first packet.
func markOf(packet []byte) (m mark, ok bool) {
	var id []byte
	switch {
	case len(packet) == 0:
		return m, false
	case packet[0]&0x80 == 0: // short header, RFC 9000 section 17.3
		if len(packet) < 1+idBytes {
			return m, false
		}
		id = packet[1:]
	default: // long header, section 17.2
		if len(packet) < 6+idBytes || packet[5] != idBytes {
			return m, false
		}
		id = packet[6:]
	}
	return mark(id[:markBytes]), true
}

// seal puts the sender's address before a packet: 16 bytes, then the port.
func seal(packet []byte, from netip.AddrPort) []byte {
	b := make([]byte, 0, 18+len(packet))
	ip := from.Addr().As16()
	b = append(b, ip[:]...)
	b = append(b, byte(from.Port()>>8), byte(from.Port()))
	return append(b, packet...)
}

func open(b []byte) (packet []byte, from *net.UDPAddr, ok bool) {
	if len(b) < 18 {
		return nil, nil, false
	}
	addr := netip.AddrFrom16([16]byte(b[:16])).Unmap()
	return b[18:], net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(b[16])<<8|uint16(b[17]))), true
}

// GenerateConnectionID and ConnectionIDLen implement
// quic.ConnectionIDGenerator.
func (c *Conn) GenerateConnectionID() (quic.ConnectionID, error) {
	var id [idBytes]byte
	copy(id[:], c.mark[:])
	_, _ = rand.Read(id[markBytes:])
	return quic.ConnectionIDFromBytes(id[:]), nil
}

// ConnectionIDLen is the length of every ID.
func (c *Conn) ConnectionIDLen() int { return idBytes }
