package fleettest

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// FaultyBus is an in-process bus that loses, repeats or reorders messages on
// their way to one client.
type FaultyBus struct {
	nats.InProcessConnProvider

	mu sync.Mutex
	// rule decides what becomes of a message: how often it is delivered, and
	// whether it waits until Release.
	rule func(subject string, payload []byte) (times int, hold bool)
	held [][]byte
	conn []*faultyConn
	cut  bool
}

// SetRule sets what becomes of messages from now on; nil delivers all once.
func (b *FaultyBus) SetRule(rule func(subject string, payload []byte) (times int, hold bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rule = rule
}

// Held is how many messages wait.
func (b *FaultyBus) Held() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held)
}

// Release delivers what waits, the last first, with the next message.
func (b *FaultyBus) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conn {
		for i := len(b.held) - 1; i >= 0; i-- {
			c.late = append(c.late, b.held[i]...)
		}
	}
	b.held = nil
}

// Cut breaks the connections and, until it is called with false, makes new ones
// fail.
func (b *FaultyBus) Cut(cut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut = cut
	if cut {
		for _, c := range b.conn {
			c.Conn.Close()
		}
		b.conn = nil
	}
}

// InProcessConn implements nats.InProcessConnProvider.
func (b *FaultyBus) InProcessConn() (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut {
		return nil, net.ErrClosed
	}
	conn, err := b.InProcessConnProvider.InProcessConn()
	if err != nil {
		return nil, err
	}
	c := &faultyConn{Conn: conn, bus: b}
	b.conn = append(b.conn, c)
	return c, nil
}

// faultyConn reads the server's protocol message by message.
type faultyConn struct {
	net.Conn
	bus  *FaultyBus
	in   []byte // not yet looked at
	out  []byte // ready for the client
	late []byte // released; goes out before the next message
}

func (c *faultyConn) Read(b []byte) (int, error) {
	for len(c.out) == 0 {
		buffer := make([]byte, 32<<10)
		n, err := c.Conn.Read(buffer)
		c.in = append(c.in, buffer[:n]...)
		c.filter()
		if err != nil && len(c.out) == 0 {
			return 0, err
		}
	}
	n := copy(b, c.out)
	c.out = c.out[n:]
	return n, nil
}

// filter moves whole protocol messages from in to out.
func (c *faultyConn) filter() {
	for {
		end := bytes.Index(c.in, []byte("\r\n"))
		if end < 0 {
			return
		}
		length := end + 2
		fields := strings.Fields(string(c.in[:end]))
		isMessage := len(fields) >= 4 && (fields[0] == "MSG" || fields[0] == "HMSG")
		if isMessage {
			size, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				return
			}
			length += size + 2
		}
		if len(c.in) < length {
			return
		}
		frame := bytes.Clone(c.in[:length])
		c.in = c.in[length:]
		if !isMessage {
			c.out = append(c.out, frame...)
			continue
		}
		times, hold := 1, false
		c.bus.mu.Lock()
		if c.bus.rule != nil {
			times, hold = c.bus.rule(fields[1], frame[end+2:length-2])
		}
		if hold {
			c.bus.held = append(c.bus.held, frame)
			times = 0
		}
		late := c.late
		c.late = nil
		c.bus.mu.Unlock()
		c.out = append(c.out, late...)
		for range times {
			c.out = append(c.out, frame...)
		}
	}
}
