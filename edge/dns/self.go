package dns

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// askSerial asks the server at addr for the serial of a zone.
func askSerial(ctx context.Context, addr, apex string) (uint32, error) {
	target, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, err
	}
	if target.Addr().IsUnspecified() {
		loop := netip.MustParseAddr("127.0.0.1")
		if target.Addr().Is6() {
			loop = netip.IPv6Loopback()
		}
		target = netip.AddrPortFrom(loop, target.Port())
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", target.String())
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	deadline := time.Now().Add(2 * time.Second)
	if t, ok := ctx.Deadline(); ok && t.Before(deadline) {
		deadline = t
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return 0, err
	}
	id := uint16(rand.Uint32())
	q := binary.BigEndian.AppendUint16(nil, id)
	q = append(q, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	q = append(q, apex...)
	q = binary.BigEndian.AppendUint16(q, dns.TypeSOA)
	q = binary.BigEndian.AppendUint16(q, dns.ClassINET)
	if _, err := conn.Write(q); err != nil {
		return 0, err
	}
	b := make([]byte, 1500)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return 0, err
		}
		var m dns.Msg
		if m.Unpack(b[:n]) != nil || m.Id != id {
			continue
		}
		if len(m.Answer) == 1 {
			if soa, ok := m.Answer[0].(*dns.SOA); ok {
				return soa.Serial, nil
			}
		}
		return 0, errAnswer
	}
}
