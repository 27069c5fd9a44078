package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/edgewright/edgewright/fault"
)

func TestNetworkSaysWhatHappenedWithoutOurSocket(t *testing.T) {
	t.Parallel()
	ours, theirs := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 49152}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 53), Port: 53}
	read := func(err error) error {
		return fmt.Errorf("asked: %w", &net.OpError{Op: "read", Net: "udp", Source: ours, Addr: theirs, Err: err})
	}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{read(os.NewSyscallError("recvfrom", syscall.ECONNREFUSED)), "connection refused"},
		{read(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "no route to host"},
		{read(os.ErrDeadlineExceeded), "timeout"},
		{fmt.Errorf("asked: %w", context.DeadlineExceeded), "timeout"},
		{read(io.EOF), "it closed the connection"},
		{read(net.ErrClosed), "use of closed network connection"},
		{errors.New("dns: overflow unpacking uint16"), "dns: overflow unpacking uint16"},
	} {
		if got := fault.Network(tc.err); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.err, got, tc.want)
		}
	}
}
