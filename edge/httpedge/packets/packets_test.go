package packets

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/edgewright/edgewright/edge/httpedge/handover"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func way(t *testing.T) (near, far *net.UnixConn) {
	t.Helper()
	a, b, err := handover.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	if near, err = handover.FileConn(a, "near"); err != nil {
		t.Fatal(err)
	}
	if far, err = handover.FileConn(b, "far"); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// read returns the next packet that a process would see.
func read(t *testing.T, c *Conn) (string, net.Addr) {
	t.Helper()
	ms := []ipv4.Message{{Buffers: [][]byte{make([]byte, 1500)}, OOB: make([]byte, 64)}}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		n, err := c.ReadBatch(ms, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && ms[0].N > 0 {
			return string(ms[0].Buffers[0][:ms[0].N]), ms[0].Addr
		}
	}
}

func short(c *Conn, text string) []byte {
	id, _ := c.GenerateConnectionID()
	return append(append([]byte{0x40}, id.Bytes()...), text...)
}

func long(c *Conn, text string) []byte {
	id, _ := c.GenerateConnectionID()
	return append(append([]byte{0xc0, 0, 0, 0, 1, idBytes}, id.Bytes()...), text...)
}

// TestThreeGenerations: the newest reads, the older ones get what is theirs.
func TestThreeGenerations(t *testing.T) {
	socket := udp(t)
	again := func() *net.UDPConn { // what inheriting does
		f, err := socket.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c, err := net.FilePacketConn(f)
		if err != nil {
			t.Fatal(err)
		}
		return c.(*net.UDPConn)
	}
	client := udp(t)
	defer client.Close()
	send := func(b []byte) {
		if _, err := client.WriteTo(b, socket.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	first := NewConn(socket)
	succeed := func(old *Conn) *Conn {
		inbox, toOld := way(t)
		next, err := Succeed(again(), old.Lineage(), toOld)
		if err != nil {
			t.Fatal(err)
		}
		old.Release(inbox)
		return next
	}
	second := succeed(first)
	third := succeed(second)

	own := short(third, "third")
	send(own)
	if got, from := read(t, third); got != string(own) || from.String() != client.LocalAddr().String() {
		t.Errorf("%q from %v", got, from)
	}
	unknown := []byte("\xc0\x00\x00\x00\x01\x08a client's own choice of an ID")
	send(unknown)
	if got, _ := read(t, third); got != string(unknown) {
		t.Errorf("a new connection's packet: %q", got)
	}
	forFirst, forSecond, marker := long(first, "first"), short(second, "second"), short(third, "end")
	send(forFirst)
	send(forSecond)
	send(marker)
	if got, _ := read(t, third); got != string(marker) {
		t.Errorf("what is older ones' came to the newest: %q", got)
	}
	// The second process passes on while it reads its own.
	if got, from := read(t, second); got != string(forSecond) || from.String() != client.LocalAddr().String() {
		t.Errorf("second: %q from %v", got, from)
	}
	if got, from := read(t, first); got != string(forFirst) || from.String() != client.LocalAddr().String() {
		t.Errorf("first: %q from %v", got, from)
	}
	// All may write.
	if _, err := first.WriteTo([]byte("answer"), client.LocalAddr()); err != nil {
		t.Error(err)
	}

	// A predecessor that has ended: its packets are the newest's to refuse.
	select {
	case <-second.Alone():
		t.Error("alone while the predecessor lives")
	default:
	}
	first.Close()
	<-second.Alone()
	second.Close()
	<-third.Alone()
	late := short(first, "late")
	send(late)
	if got, _ := read(t, third); got != string(late) {
		t.Errorf("%q", got)
	}
	third.Close()
}

func TestSucceedRefusesALineageThatIsNone(t *testing.T) {
	for _, lineage := range []string{"", "xyz", "00112233,0011"} {
		socket := udp(t)
		if c, err := Succeed(socket, lineage, nil); err == nil {
			t.Errorf("%q: %v", lineage, c)
		}
		socket.Close()
	}
}

func FuzzPackets(f *testing.F) {
	f.Add([]byte{0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Add([]byte{0xc0, 0, 0, 0, 1, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Fuzz(func(t *testing.T, b []byte) {
		markOf(b)
		open(b)
		from := netip.MustParseAddrPort("[2001:db8::1]:4711")
		packet, addr, ok := open(seal(b, from))
		if !ok || !bytes.Equal(packet, b) || addr.AddrPort() != from {
			t.Fatalf("%q %v %v", packet, addr, ok)
		}
	})
}
