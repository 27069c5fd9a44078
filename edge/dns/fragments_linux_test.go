//go:build linux && (amd64 || arm64)

package dns

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A forged ICMP message that says the path is narrow changes nothing for answers.
func TestAnswersAreNeverFragmented(t *testing.T) {
	doors(t, func(t *testing.T, o Options) {
		s := start(t, o, nil)
		for _, d := range s.udp {
			raw, err := d.socket().SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			if err := raw.Control(func(fd uintptr) {
				v4, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER)
				if err != nil || v4 != unix.IP_PMTUDISC_PROBE {
					t.Errorf("IPv4: %d, %v", v4, err)
				}
				at, err := netip.ParseAddrPort(s.Addr())
				if err != nil || at.Addr().Is4() {
					return
				}
				v6, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER)
				if err != nil || v6 != unix.IPV6_PMTUDISC_PROBE {
					t.Errorf("IPv6: %d, %v", v6, err)
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
