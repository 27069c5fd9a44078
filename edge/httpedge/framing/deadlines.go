package framing

import (
	"errors"
	"os"
	"time"
)

// SetReadDeadline implements net.Conn. net/http sets one six times for a request;
// the connection's own is left where it is as long as it is not too late, and
// read looks again when it passes. That saves most of the timers.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	c.deadline = t
	if t.IsZero() || !c.armed.IsZero() && !c.armed.After(t) {
		return nil
	}
	return c.arm(t)
}

// arm sets the connection's deadline; c.deadlines is held.
func (c *Conn) arm(t time.Time) error {
	c.armed = t
	return c.Conn.SetReadDeadline(t)
}

// read reads from the connection, until the deadline that the server wants.
func (c *Conn) read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !c.rearm() {
			return n, err
		}
	}
}

// rearm reports whether a deadline that has passed was not the server's, and
// sets the next.
func (c *Conn) rearm() bool {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	want := c.deadline
	if !c.headLimit.IsZero() && (want.IsZero() || want.After(c.headLimit)) {
		want = c.headLimit
	}
	if !want.IsZero() && !want.After(time.Now()) {
		return false
	}
	return c.arm(want) == nil
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.Conn.SetWriteDeadline(t))
}

// limitHead makes the rest of a head that has begun arrive in time.
func (c *Conn) limitHead() {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	c.headLimit = time.Now().Add(c.o.HeadTimeout)
	if c.armed.IsZero() || c.armed.After(c.headLimit) {
		_ = c.arm(c.headLimit)
	}
}

// unlimitHead ends what limitHead began.
func (c *Conn) unlimitHead() {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	c.headLimit = time.Time{}
}

// interrupted reports whether net/http itself broke off the read, as it does
// with a deadline far in the past when a handler has returned.
func (c *Conn) interrupted() bool {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	return !c.deadline.IsZero() && time.Since(c.deadline) > time.Hour
}
