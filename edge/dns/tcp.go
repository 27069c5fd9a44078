package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// streams are the TCP connections of a server, in clear or below TLS.
type streams struct {
	responder *responder
	counters  *counters
	log       *slog.Logger
	most      int
	mostOf    int
	private   bool // below TLS

	mu       sync.Mutex
	conns    map[*connection]bool // whether it has asked yet
	networks map[uint64]int
	draining bool
	work     sync.WaitGroup
	pool     sync.Pool

	transfers *gate // of those under way
}

// connection is one client's (RFC 7766). Its reader answers queries from memory
// as they come, many in one write. A zone transfer goes beside that, message by
// message, so that what was asked behind it is answered meanwhile.
type connection struct {
	net.Conn
	streams *streams
	from    netip.Addr
	cancel  context.CancelFunc // of whatever waits for something else
	// A token while nobody writes. Who waits for it gets it in order, which a mutex
	// grants only after a while: an answer waits for one message of a transfer.
	turn   chan struct{}
	long   chan struct{}  // a token for each transfer that was asked for
	beside sync.WaitGroup // those transfers
	slow   atomic.Bool    // it was ended because it read too slowly
	pace   pace           // of those transfers; whoever has the turn
	fresh  atomic.Bool    // there was none for a moment: the pace begins anew
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
	// Nothing more is read while another transfer waits behind so many.
	tcpTransfers = 8
)

func newStreams(s *responder, o Options, k *counters, g *gate) *streams {
	t := &streams{responder: s, counters: k, log: o.Logger, most: o.MaxConns, mostOf: o.MaxConnsClient, conns: map[*connection]bool{}, networks: map[uint64]int{}, transfers: g}
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
		t.take(conn)
	}
}

// take serves a connection, unless there are too many.
func (t *streams) take(conn net.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &connection{Conn: conn, streams: t, from: remote(conn), cancel: cancel, turn: make(chan struct{}, 1), long: make(chan struct{}, tcpTransfers)}
	c.turn <- struct{}{}
	if !t.enter(c) {
		t.counters.tcpRefused.Add(1)
		c.end()
		return
	}
	t.counters.tcpConnections.Add(1)
	go c.serve(ctx)
}

func remote(conn net.Conn) netip.Addr {
	a, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	return a.Addr().Unmap()
}

// enter counts a connection, unless there are too many.
func (t *streams) enter(c *connection) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := network(c.from)
	if len(t.conns) >= t.most || t.networks[n] >= t.mostOf {
		return false
	}
	t.conns[c] = false
	t.networks[n]++
	t.work.Add(1)
	return true
}

// leave ends a connection from which nothing more is read, when everything it
// has asked for is sent.
func (t *streams) leave(c *connection) {
	c.beside.Wait()
	c.end()
	t.mu.Lock()
	delete(t.conns, c)
	n := network(c.from)
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
		c.end()
	}
}

// end may be called at any time, and more than once.
func (c *connection) end() {
	c.cancel()
	_ = c.Close()
}

// serve reads queries until the client is idle, leaves or errs. The deadline is
// of a whole query, so that one byte now and then does not hold a connection.
func (c *connection) serve(ctx context.Context) {
	defer c.streams.leave(c)
	in := make([]byte, 0, tcpRead)
	for first := true; c.await(first); first = false {
		for !complete(in) {
			if len(in) >= 2 && binary.BigEndian.Uint16(in) > tcpQuery {
				return
			}
			if len(in) == cap(in) {
				in = append(make([]byte, 0, 4*cap(in)), in...)
			}
			n, err := c.Read(in[len(in):cap(in)])
			in = in[:len(in)+n]
			if err != nil && !complete(in) {
				return
			}
		}
		rest, ok := c.answer(ctx, in)
		if !ok {
			return
		}
		in = in[:copy(in, rest)]
	}
}

// await sets the deadline of the next query. It reports whether one may come:
// on a server that is ending, only the first.
func (c *connection) await(first bool) bool {
	t := c.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	within := t.responder.idle
	if t.draining {
		if !first {
			return false
		}
		within = min(tcpFirst, within)
	}
	t.conns[c] = !first
	if len(c.long) > 0 {
		return c.SetReadDeadline(time.Time{}) == nil // it is not idle: see rest
	}
	return c.SetReadDeadline(time.Now().Add(within)) == nil
}

// rest notes that a transfer has ended. Behind the last one the connection is
// idle, unless it is not read from any more.
func (c *connection) rest() {
	t := c.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if <-c.long; len(c.long) > 0 {
		return
	}
	if c.fresh.Store(true); !t.draining {
		_ = c.SetReadDeadline(time.Now().Add(t.responder.idle))
	}
}

func complete(b []byte) bool { return len(b) >= 2 && len(b) >= 2+int(binary.BigEndian.Uint16(b)) }

// answer answers every whole query that has been read and returns what is
// left. It reports whether the connection may go on.
func (c *connection) answer(ctx context.Context, in []byte) (rest []byte, ok bool) {
	t := c.streams
	s := t.pool.Get().(*stream)
	defer t.pool.Put(s)
	s.out = s.out[:0]
	s.compose.stream, s.compose.private, s.transfer = s, t.private, nil
	s.compose.second = uint32(t.responder.now().Unix())
	flush := func() bool {
		ok := len(s.out) == 0 || c.write(ctx, s.out)
		s.out = s.out[:0]
		return ok
	}
	for complete(in) {
		n := int(binary.BigEndian.Uint16(in))
		copy(s.message[:], in[2:2+n])
		in = in[2+n:]
		t.counters.tcpQueries.Add(1)
		n = t.responder.answer(&s.compose, t.counters, s.message[:], n, c.from, true)
		if n == 0 {
			flush()
			return nil, false // no query at all: nothing good will follow
		}
		if x := s.transfer; x != nil {
			s.transfer = nil
			// What was answered does not wait for room for a transfer.
			if !flush() || !c.transfer(ctx, x, slices.Clone(s.message[:x.end])) {
				return nil, false
			}
			continue
		}
		s.out = binary.BigEndian.AppendUint16(s.out, uint16(n))
		s.out = append(s.out, s.message[:n]...)
		if len(s.out) >= tcpFlush && !flush() {
			return nil, false
		}
	}
	return in, flush()
}

// write writes whole messages when its turn comes. While transfers fill what is
// between us and the client, it has as long for an answer as for those, and for
// all of them what pace gives.
func (c *connection) write(ctx context.Context, messages []byte) bool {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return false
	}
	defer func() { c.turn <- struct{}{} }()
	began, within, beside := time.Now(), tcpWrite, len(c.long) > 0
	if beside {
		if c.fresh.Swap(false) {
			c.pace = pace{}
		}
		within = c.pace.within(len(messages))
	}
	n, err := 0, c.SetWriteDeadline(began.Add(within))
	if err == nil {
		n, err = c.Write(messages)
	}
	if beside {
		c.pace.took(n, time.Since(began))
	}
	if err != nil {
		c.slow.CompareAndSwap(false, errors.Is(err, os.ErrDeadlineExceeded))
		c.end() // half a message may be out: nothing behind it could be read
	}
	return err == nil
}

// transfer sends a transfer beside what else is asked. It waits for room among
// those of the connection.
func (c *connection) transfer(ctx context.Context, x *transferring, head []byte) bool {
	select {
	case c.long <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	c.beside.Go(func() {
		defer c.rest()
		var v *version
		if leave, ok := c.streams.transfers.enter(ctx, x.project); ok {
			defer leave()
			v = x.open()
		}
		sent := v.send(x.signed, c.streams.responder.now, head, func(message []byte) bool { return c.write(ctx, message) })
		c.streams.tell(x, v, sent, c.slow.Load())
	})
	return true
}

// tell notes what became of a transfer, for who asks whether a secondary has a
// version.
func (t *streams) tell(x *transferring, v *version, sent, slow bool) {
	x.done(v, sent, slow, t.responder.now())
	log := t.log.With("zone", x.id, "client", x.from, "key", x.signed.key.id)
	switch {
	case v == nil:
		log.Warn("a secondary was told to come again: others' transfers took long, or the zone is not given any more")
	case !sent:
		log.Warn("a transfer was not read to its end", "serial", v.serial, "slow", slow)
	default:
		log.Info("a secondary has a zone", "serial", v.serial, "whole", v.next != nil)
	}
}
