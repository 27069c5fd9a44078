package dns

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
)

// udpSlot is the room of one datagram. Not a multiple of 4096, so that the
// buffers of a batch do not compete for the same cache lines; longer queries
// are cut by the kernel and found malformed.
const udpSlot = 1600

// portable is a UDP door anywhere: one goroutine, one datagram at a time. On a
// machine with several addresses it is bound to one of them, because answers
// leave from the address that the system chooses.
type portable struct {
	conn    *net.UDPConn
	stopped atomic.Bool
}

func listenPortable(at netip.AddrPort) (*portable, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(4 << 20) // as much as the system grants
	return newPortable(conn)
}

func newPortable(conn *net.UDPConn) (*portable, error) {
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { neverFragment(int(fd)) })
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &portable{conn: conn}, nil
}

// inheritPortable makes the door of a bound socket.
func inheritPortable(f *os.File) (*portable, error) {
	conn, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("not a UDP socket")
	}
	return newPortable(udp)
}

func (p *portable) socket() syscall.Conn { return p.conn }

func (p *portable) addr() netip.AddrPort {
	a := p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (p *portable) stop() {
	p.stopped.Store(true)
	_ = p.conn.Close()
}

func (p *portable) serve(s *responder, k *counters) {
	c := new(compose)
	b := make([]byte, udpSlot)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			if p.stopped.Load() || errors.Is(err, net.ErrClosed) {
				return
			}
			k.failures.Add(1)
			continue
		}
		if from.Port() == 0 {
			continue
		}
		c.second = uint32(s.now().Unix())
		if n = s.answer(c, k, b, n, from.Addr().Unmap(), false); n > 0 {
			if _, err := p.conn.WriteToUDPAddrPort(b[:n], from); err != nil {
				k.failures.Add(1)
			}
		}
	}
}
