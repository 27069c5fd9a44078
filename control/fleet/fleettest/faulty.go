package fleettest

import (
	"bytes"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// FaultyBus is an in-process bus that loses, repeats or reorders messages on
// their way to one client, and loses what the client says.
type FaultyBus struct {
	nats.InProcessConnProvider

	mu sync.Mutex
	// rule decides what becomes of a message: how often it is delivered, and
	// whether it waits until Release.
	rule func(subject string, payload []byte) (times int, hold bool)
	held [][]byte
	conn []*faultyConn
	cut  bool
	// mute decides which messages of the client are lost.
	mute func(subject string) bool
}

// Mute sets which messages of the client are lost from now on; nil loses none.
func (b *FaultyBus) Mute(mute func(subject string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mute = mute
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

	writing sync.Mutex
	pending []byte // written by the client, not yet a whole message
}

// Write passes on what the client says, message by message.
func (c *faultyConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.pending = append(c.pending, b...)
	var pass []byte
	for {
		frame, subject, isMessage := cutFrame(c.pending, "PUB", "HPUB")
		if frame == nil {
			break
		}
		c.pending = c.pending[len(frame):]
		c.bus.mu.Lock()
		lost := isMessage && c.bus.mute != nil && c.bus.mute(subject)
		c.bus.mu.Unlock()
		if !lost {
			pass = append(pass, frame...)
		}
	}
	if len(pass) > 0 {
		if _, err := c.Conn.Write(pass); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// cutFrame returns the first whole protocol message, nil when there is none. Of
// one of the given verbs it tells the subject.
func cutFrame(b []byte, verbs ...string) (frame []byte, subject string, isMessage bool) {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 0 {
		return nil, "", false
	}
	length := end + 2
	fields := strings.Fields(string(b[:end]))
	if len(fields) >= 3 && slices.Contains(verbs, fields[0]) {
		size, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil {
			return nil, "", false
		}
		length += size + 2
		subject, isMessage = fields[1], true
	}
	if len(b) < length {
		return nil, "", false
	}
	return bytes.Clone(b[:length]), subject, isMessage
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
		frame, subject, isMessage := cutFrame(c.in, "MSG", "HMSG")
		if frame == nil {
			return
		}
		c.in = c.in[len(frame):]
		if !isMessage {
			c.out = append(c.out, frame...)
			continue
		}
		times, hold := 1, false
		c.bus.mu.Lock()
		if c.bus.rule != nil {
			_, payload, _ := bytes.Cut(frame, []byte("\r\n"))
			times, hold = c.bus.rule(subject, payload)
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
