//go:build linux && (amd64 || arm64)

package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listenUDP opens the UDP doors: sockets that share the port, between which the
// kernel spreads clients. When that is refused, the portable one.
func listenUDP(at netip.AddrPort, workers int, onlyPortable bool) ([]datagrams, error) {
	var doors []datagrams
	for range workers {
		if onlyPortable {
			break
		}
		b, err := listenBatch(at)
		if err != nil {
			for _, d := range doors {
				d.stop()
			}
			doors = nil
			if errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EADDRNOTAVAIL) {
				return nil, err
			}
			break
		}
		doors = append(doors, b)
		at = b.addr() // the others share the port this one got
	}
	if doors != nil {
		return doors, nil
	}
	p, err := listenPortable(at)
	if err != nil {
		return nil, err
	}
	return []datagrams{p}, nil
}

// batchSize is how many datagrams one system call takes.
const batchSize = 32

// mmsghdr is struct mmsghdr of recvmmsg(2) on 64-bit systems.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// One datagram's addresses and control message: IP_PKTINFO or IPV6_PKTINFO,
// which tell the address that a query came to and the answer must leave from.
type envelope struct {
	from    unix.RawSockaddrInet6 // the larger; IPv4's fits in
	_       [4]byte
	control [64]byte
}

// batch is a UDP door of one thread, which takes and sends datagrams by the
// batch. Everything the kernel reads or writes is in memory of our own mapping,
// so that it does not move and the collector does not look at it.
type batch struct {
	fd, wake int
	bound    netip.AddrPort
	v6       bool
	anywhere bool // bound to the unspecified address
	stopped  atomic.Bool
	serving  atomic.Bool
	once     sync.Once

	memory    []byte
	headers   []mmsghdr
	vectors   []unix.Iovec
	envelopes []envelope
	buffers   []byte
	taken     int // slots that the last batch used
}

func listenBatch(at netip.AddrPort) (*batch, error) {
	v6, anywhere := at.Addr().Is6(), at.Addr().IsUnspecified()
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	options := [][3]int{{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1}}
	if v6 && anywhere {
		options = append(options, [3]int{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0}, [3]int{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1})
	} else if anywhere {
		options = append(options, [3]int{unix.IPPROTO_IP, unix.IP_PKTINFO, 1})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
			_ = unix.Close(fd)
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	var sa unix.Sockaddr
	if v6 {
		sa = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	} else {
		sa = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	if err := unix.Bind(fd, sa); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return newBatch(fd)
}

// inheritUDP makes the doors of bound sockets: of those that a predecessor
// still takes datagrams from, which are answered by whoever takes them.
func inheritUDP(files []*os.File, onlyPortable bool) ([]datagrams, error) {
	var doors []datagrams
	for _, f := range files {
		d, err := inheritDoor(f, onlyPortable)
		if err != nil {
			for _, d := range doors {
				d.stop()
			}
			return nil, err
		}
		doors = append(doors, d)
	}
	return doors, nil
}

func inheritDoor(f *os.File, onlyPortable bool) (datagrams, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, waits := -1, true
	var dupErr error
	if err := raw.Control(func(original uintptr) {
		if fd, dupErr = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0); dupErr == nil {
			var flags int
			flags, dupErr = unix.FcntlInt(original, unix.F_GETFL, 0)
			waits = flags&unix.O_NONBLOCK == 0
		}
	}); err != nil {
		return nil, err
	}
	if dupErr != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return nil, os.NewSyscallError("fcntl", dupErr)
	}
	// The mode of a socket is shared with the predecessor, which relies on it: a
	// portable door's stays one.
	if onlyPortable || !waits {
		_ = unix.Close(fd)
		return inheritPortable(f)
	}
	return newBatch(fd)
}

// newBatch makes a door of a bound socket, which it closes in case of an error.
func newBatch(fd int) (_ *batch, err error) {
	b := &batch{fd: fd, wake: -1}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	name, err := unix.Getsockname(b.fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	switch n := name.(type) {
	case *unix.SockaddrInet4:
		b.bound = netip.AddrPortFrom(netip.AddrFrom4(n.Addr), uint16(n.Port))
	case *unix.SockaddrInet6:
		b.bound, b.v6 = netip.AddrPortFrom(netip.AddrFrom16(n.Addr), uint16(n.Port)), true
	default:
		return nil, fmt.Errorf("a socket of another family")
	}
	b.anywhere = b.bound.Addr().IsUnspecified()
	_ = unix.SetsockoptInt(b.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20) // as much as the system grants
	_ = unix.SetsockoptInt(b.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
	neverFragment(b.fd)
	// Waiting for at most a millisecond is hidden from the scheduler: see take.
	brief := unix.Timeval{Usec: 1000}
	for _, o := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err = unix.SetsockoptTimeval(b.fd, unix.SOL_SOCKET, o, &brief); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	if b.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return b, b.mapMemory()
}

// neverFragment has answers go out in one piece whatever an ICMP message says of
// the path (RFC 9715 section 3.1): anybody can send one, and a second fragment,
// which has no checksum of its own, could be anybody's. Where the path is narrower
// than answers are long the client asks again for less, or over TCP.
func neverFragment(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE) // not of an IPv4 socket
}

// mapMemory lays headers, vectors, addresses and buffers out in one mapping.
func (b *batch) mapMemory() (err error) {
	sizes := []int{batchSize * int(unsafe.Sizeof(mmsghdr{})), batchSize * int(unsafe.Sizeof(unix.Iovec{})), batchSize * int(unsafe.Sizeof(envelope{})), batchSize * udpSlot}
	total, at := 0, make([]int, len(sizes))
	for i, n := range sizes {
		at[i] = total
		total += (n + 63) &^ 63
	}
	if b.memory, err = unix.Mmap(-1, 0, total, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	b.headers = unsafe.Slice((*mmsghdr)(unsafe.Pointer(&b.memory[at[0]])), batchSize)
	b.vectors = unsafe.Slice((*unix.Iovec)(unsafe.Pointer(&b.memory[at[1]])), batchSize)
	b.envelopes = unsafe.Slice((*envelope)(unsafe.Pointer(&b.memory[at[2]])), batchSize)
	b.buffers = b.memory[at[3]:]
	for i := range b.headers {
		b.vectors[i].Base = &b.buffers[i*udpSlot]
		b.ready(i)
	}
	return nil
}

// ready makes header i that of slot i, with all its room.
func (b *batch) ready(i int) {
	h, e := &b.headers[i].hdr, &b.envelopes[i]
	b.vectors[i].SetLen(udpSlot)
	h.Iov = &b.vectors[i]
	h.SetIovlen(1)
	h.Name = (*byte)(unsafe.Pointer(&e.from))
	h.Namelen = uint32(unsafe.Sizeof(e.from))
	if b.anywhere {
		h.Control = &e.control[0]
		h.Controllen = uint64(len(e.control))
	}
}

func (b *batch) addr() netip.AddrPort { return b.bound }

func (b *batch) socket() syscall.Conn { return rawSocket(b.fd) }

// rawSocket lends a descriptor out as what a process hands over.
type rawSocket int

// SyscallConn implements syscall.Conn.
func (s rawSocket) SyscallConn() (syscall.RawConn, error) { return s, nil }

// Control implements syscall.RawConn.
func (s rawSocket) Control(f func(fd uintptr)) error {
	f(uintptr(s))
	return nil
}

// Read implements syscall.RawConn: the door alone reads.
func (rawSocket) Read(func(uintptr) bool) error { return errors.ErrUnsupported }

// Write implements syscall.RawConn: the door alone writes.
func (rawSocket) Write(func(uintptr) bool) error { return errors.ErrUnsupported }

// stop ends serve, from any goroutine. A door that never served is closed here.
func (b *batch) stop() {
	if b.serving.CompareAndSwap(false, true) {
		b.close()
		return
	}
	// In this order, because serve closes the descriptors when it sees stopped.
	_, _ = unix.Write(b.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	b.stopped.Store(true)
}

func (b *batch) close() {
	b.once.Do(func() {
		_ = unix.Close(b.fd)
		if b.wake >= 0 {
			_ = unix.Close(b.wake)
		}
		if b.memory != nil {
			_ = unix.Munmap(b.memory)
		}
	})
}

// serve answers until stop. The thread is locked, because the kernel's view of
// it (cache, wake-ups) is what batches live on.
func (b *batch) serve(s *responder, k *counters) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if !b.serving.CompareAndSwap(false, true) {
		return // stopped before it began
	}
	defer b.close()
	c := new(compose)
	for !b.stopped.Load() {
		n := b.take()
		if n == 0 {
			continue
		}
		out := 0
		c.second = uint32(s.now().Unix())
		for i := range n {
			if size := b.answer(s, c, k, i); size > 0 {
				b.vectors[i].SetLen(size)
				b.swap(out, i)
				out++
			}
		}
		b.give(out, k)
	}
}

// take waits for datagrams. A blocking call that the scheduler does not know
// of costs nothing to enter and leave, and holds a processor's other goroutines
// up for at most a millisecond; while nothing comes, it waits in poll, of which
// the scheduler knows.
func (b *batch) take() int {
	for i := range b.taken {
		b.ready(i)
	}
	b.taken = 0
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.headers[0])), batchSize, unix.MSG_WAITFORONE, 0, 0)
	if errno == 0 {
		b.taken = int(n)
		return b.taken
	}
	if errno == unix.EAGAIN && !b.stopped.Load() {
		fds := [2]unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}, {Fd: int32(b.wake), Events: unix.POLLIN}}
		_, _ = unix.Poll(fds[:], -1)
	}
	return 0
}

// answer answers datagram i in place and returns its length.
func (b *batch) answer(s *responder, c *compose, k *counters, i int) int {
	h := &b.headers[i]
	from, ok := b.envelopes[i].client(b.v6)
	if !ok || int(h.n) > udpSlot {
		return 0
	}
	buffer := b.buffers[i*udpSlot : (i+1)*udpSlot : (i+1)*udpSlot]
	n := s.answer(c, k, buffer, int(h.n), from, false)
	if n > 0 && b.anywhere {
		b.envelopes[i].fromHere(&h.hdr)
	}
	return n
}

// client is the address a datagram came from; not ok when it cannot be answered.
func (e *envelope) client(v6 bool) (netip.Addr, bool) {
	if v6 {
		return netip.AddrFrom16(e.from.Addr).Unmap(), e.from.Port != 0
	}
	v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&e.from))
	return netip.AddrFrom4(v4.Addr), v4.Port != 0
}

// fromHere turns the control message of a query into that of its answer: it
// leaves from the address the query came to, by whatever interface leads to the
// client; but a link-local address is of its interface.
func (e *envelope) fromHere(h *unix.Msghdr) {
	head := (*unix.Cmsghdr)(unsafe.Pointer(&e.control[0]))
	data := e.control[unix.CmsgLen(0):]
	switch {
	case h.Controllen == 0:
	case head.Level == unix.IPPROTO_IP && head.Type == unix.IP_PKTINFO:
		binary.NativeEndian.PutUint32(data, 0) // ipi_ifindex
		copy(data[4:8], data[8:12])            // ipi_spec_dst: from ipi_addr, the header's destination
		h.Controllen = uint64(unix.CmsgSpace(unix.SizeofInet4Pktinfo))
		return
	case head.Level == unix.IPPROTO_IPV6 && head.Type == unix.IPV6_PKTINFO:
		if data[0] != 0xfe || data[1]&0xc0 != 0x80 {
			binary.NativeEndian.PutUint32(data[16:], 0)
		}
		h.Controllen = uint64(unix.CmsgSpace(unix.SizeofInet6Pktinfo))
		return
	}
	h.Controllen = 0
}

// swap exchanges two headers, so that answers stand together. Vectors, buffers
// and addresses go with the pointers in them.
func (b *batch) swap(i, j int) {
	if i != j {
		b.headers[i], b.headers[j] = b.headers[j], b.headers[i]
	}
}

// give sends the first n. What the kernel refuses is left out: the client asks
// again.
func (b *batch) give(n int, k *counters) {
	for sent := 0; sent < n; {
		w, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.headers[sent])), uintptr(n-sent), 0, 0, 0)
		if errno != 0 {
			k.failures.Add(1)
			sent++
			continue
		}
		sent += int(w)
	}
}
