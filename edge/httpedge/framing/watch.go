package framing

import (
	"errors"
	"os"
	"time"
)

// Watch calls gone, once and from another goroutine, when the client closes its
// side of the connection, or loses it, while its request is handled. It begins
// after a while, since most answers are there before anybody leaves. It may be
// called when the request's content has been read to its end, or there is none;
// stop must be called before the handler returns, and ends it for good. A byte
// of the client is kept for the next request and ends the watch: who sends more
// has not left, and net/http sees it the same way.
func (c *Conn) Watch(after time.Duration, gone func()) (stop func()) {
	if c.state != atHead {
		return func() {} // a tunnel to be: net/http reads in the background
	}
	over := make(chan struct{})
	timer := time.AfterFunc(after, func() {
		defer close(over)
		if len(c.stash) > 0 {
			return
		}
		var b [1]byte
		n, err := c.read(b[:])
		if n > 0 {
			c.stash = append(c.stash, b[:n]...)
		} else if err != nil && !(errors.Is(err, os.ErrDeadlineExceeded) && c.interrupted()) {
			gone()
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		_ = c.SetReadDeadline(broken)
		<-over
		_ = c.SetReadDeadline(time.Time{})
	}
}

// broken is a deadline that breaks a read off.
var broken = time.Unix(1, 0)
