package dns

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// streams are the TCP connections of a server (RFC 7766): queries of one
// connection are answered as they come, many in one write, none waiting for
// another.
type streams struct {
	responder *responder
	counters  *counters
	most      int
	mostOf    int

	mu       sync.Mutex
	conns    map[net.Conn]bool // whether it has asked yet
	networks map[uint64]int
	draining bool
	work     sync.WaitGroup
	pool     sync.Pool

	transfers chan struct{} // a token for each that is under way
}

// stream is the memory of one connection while its queries are answered. A
// connection that waits has only what it has read.
type stream struct {
	compose  compose
	transfer *transferring
	out      []byte
	message  [maxTCP]byte
}

// Bounds of a connection.
const (
	tcpRead  = 512      // room to begin with
	tcpQuery = 4 << 10  // the longest query; none that we answer comes near
	tcpFlush = 64 << 10 // answers are written when there are this many bytes
	// A client that reads its answers slower than this is let go.
	tcpWrite = 5 * time.Second
	// A new connection's first query has this long to come when the server ends.
	tcpFirst = 2 * time.Second
)

func newStreams(s *responder, most, mostOf int, k *counters) *streams {
	t := &streams{responder: s, counters: k, most: most, mostOf: mostOf, conns: map[net.Conn]bool{}, networks: map[uint64]int{}, transfers: make(chan struct{}, maxTransfers)}
	t.pool.New = func() any { return new(stream) }
	return t
}

func (t *streams) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			t.counters.failures.Add(1)
			// Out of files, most likely: wait for some to come back.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		from := remote(conn)
		if !t.enter(conn, from) {
			t.counters.tcpRefused.Add(1)
			_ = conn.Close()
			continue
		}
		t.counters.tcpConnections.Add(1)
		go t.serve(conn, from)
	}
}

func remote(conn net.Conn) netip.Addr {
	a, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	return a.Addr().Unmap()
}

// enter counts a connection, unless there are too many.
func (t *streams) enter(conn net.Conn, from netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := network(from)
	if len(t.conns) >= t.most || t.networks[n] >= t.mostOf {
		return false
	}
	t.conns[conn] = false
	t.networks[n]++
	t.work.Add(1)
	return true
}

func (t *streams) leave(conn net.Conn, from netip.Addr) {
	_ = conn.Close()
	t.mu.Lock()
	delete(t.conns, conn)
	n := network(from)
	if t.networks[n]--; t.networks[n] <= 0 {
		delete(t.networks, n)
	}
	t.mu.Unlock()
	t.work.Done()
}

// drain ends connections that wait for another query. One that is new has its
// first query on the way, and a client that gets no answer to that does not know
// that it may ask again.
func (t *streams) drain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	for c, asked := range t.conns {
		if asked {
			_ = c.SetReadDeadline(time.Unix(1, 0))
		} else {
			_ = c.SetReadDeadline(time.Now().Add(min(tcpFirst, t.responder.idle)))
		}
	}
}

func (t *streams) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		_ = c.Close()
	}
}

// serve reads queries until the client is idle, leaves or errs. The deadline is
// of a whole query, so that one byte now and then does not hold a connection.
func (t *streams) serve(conn net.Conn, from netip.Addr) {
	defer t.leave(conn, from)
	in := make([]byte, 0, tcpRead)
	for first := true; t.await(conn, first); first = false {
		for !complete(in) {
			if len(in) >= 2 && binary.BigEndian.Uint16(in) > tcpQuery {
				return
			}
			if len(in) == cap(in) {
				in = append(make([]byte, 0, 4*cap(in)), in...)
			}
			n, err := conn.Read(in[len(in):cap(in)])
			in = in[:len(in)+n]
			if err != nil && !complete(in) {
				return
			}
		}
		rest, ok := t.answer(conn, in, from)
		if !ok {
			return
		}
		in = in[:copy(in, rest)]
	}
}

// await sets the deadline of the next query. It reports whether one may come:
// on a server that is ending, only the first.
func (t *streams) await(conn net.Conn, first bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	within := t.responder.idle
	if t.draining {
		if !first {
			return false
		}
		within = min(tcpFirst, within)
	}
	t.conns[conn] = !first
	return conn.SetReadDeadline(time.Now().Add(within)) == nil
}

func complete(b []byte) bool { return len(b) >= 2 && len(b) >= 2+int(binary.BigEndian.Uint16(b)) }

// answer answers every whole query that has been read and returns what is
// left. It reports whether the connection may go on.
func (t *streams) answer(conn net.Conn, in []byte, from netip.Addr) (rest []byte, ok bool) {
	s := t.pool.Get().(*stream)
	defer t.pool.Put(s)
	s.out = s.out[:0]
	s.compose.stream, s.transfer = s, nil
	s.compose.second = uint32(t.responder.now().Unix())
	for complete(in) {
		n := int(binary.BigEndian.Uint16(in))
		copy(s.message[:], in[2:2+n])
		in = in[2+n:]
		t.counters.tcpQueries.Add(1)
		n = t.responder.answer(&s.compose, t.counters, s.message[:], n, from, true)
		if n == 0 {
			return nil, false // no query at all: nothing good will follow
		}
		if s.transfer != nil {
			if len(s.out) > 0 && !flush(conn, s) || !t.send(conn, s.transfer, s.message[:s.transfer.end]) {
				return nil, false
			}
			s.transfer = nil
			continue
		}
		s.out = binary.BigEndian.AppendUint16(s.out, uint16(n))
		s.out = append(s.out, s.message[:n]...)
		if len(s.out) >= tcpFlush && !flush(conn, s) {
			return nil, false
		}
	}
	return in, len(s.out) == 0 || flush(conn, s)
}

// send sends a transfer when there is room for one more.
func (t *streams) send(conn net.Conn, x *transferring, head []byte) bool {
	select {
	case t.transfers <- struct{}{}:
		defer func() { <-t.transfers }()
	case <-time.After(transferWait):
		return false
	}
	return x.send(conn, head) == nil
}

func flush(conn net.Conn, s *stream) bool {
	if conn.SetWriteDeadline(time.Now().Add(tcpWrite)) != nil {
		return false
	}
	_, err := conn.Write(s.out)
	s.out = s.out[:0]
	return err == nil || errors.Is(err, io.EOF)
}
