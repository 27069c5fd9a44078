package framing

import (
	"errors"
	"os"
	"time"
)

// SetReadDeadline implements net.Conn. net/http sets one six times for a request;
// a read that is under way is told, and any other looks when it begins. Even then
// the connection's own is left where it is as long as it is not too late, and
// looked at again when it passes. That saves nearly all of the timers.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	c.deadline = t
	if !c.reading {
		return nil
	}
	return c.heed()
}

// wanted is the deadline for what is read now; c.deadlines is held.
func (c *Conn) wanted() time.Time {
	if !c.headLimit.IsZero() && (c.deadline.IsZero() || c.deadline.After(c.headLimit)) {
		return c.headLimit
	}
	return c.deadline
}

// heed sees to it that the connection's deadline is not later than the wanted
// one; c.deadlines is held.
func (c *Conn) heed() error {
	want := c.wanted()
	if want.IsZero() || !c.armed.IsZero() && !c.armed.After(want) {
		return nil
	}
	return c.arm(want)
}

// arm sets the connection's deadline; c.deadlines is held.
func (c *Conn) arm(t time.Time) error {
	c.armed = t
	return c.Conn.SetReadDeadline(t)
}

// read reads from the connection, until the deadline that is wanted.
func (c *Conn) read(p []byte) (int, error) {
	c.deadlines.Lock()
	c.reading = true
	err := c.heed()
	c.deadlines.Unlock()
	defer func() {
		c.deadlines.Lock()
		c.reading = false
		c.deadlines.Unlock()
	}()
	if err != nil {
		return 0, err
	}
	for {
		n, err := c.Conn.Read(p)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !c.rearm() {
			return n, err
		}
	}
}

// rearm reports whether a deadline that has passed was not the wanted one, and
// sets that.
func (c *Conn) rearm() bool {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	want := c.wanted()
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
