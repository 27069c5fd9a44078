package httpedge

import (
	"net"
	"testing"
	"time"
)

// timed is a connection that notes its deadline of writes.
type timed struct {
	net.Conn
	until time.Time
}

func (c *timed) Write(p []byte) (int, error)        { return len(p), nil }
func (c *timed) SetReadDeadline(time.Time) error    { return nil }
func (c *timed) SetWriteDeadline(t time.Time) error { c.until = t; return nil }

// A handshake that sends more than any socket takes at once is bounded in time
// also where its client reads nothing, and only in the handshake.
func TestLongHandshakesAreBounded(t *testing.T) {
	until := time.Now().Add(time.Hour)
	for _, sizes := range [][]int{{100, 2000}, {5000}, {3000, 3000, 100}} {
		tcp := &timed{}
		c := &gathering{counted: &counted{Conn: tcp}}
		c.begin(until)
		sum := 0
		for _, n := range sizes {
			if _, err := c.Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			if sum += n; (sum > freeBytes) != tcp.until.Equal(until) {
				t.Errorf("after %d bytes writes are bounded by %v", sum, tcp.until)
			}
		}
		c.end()
		if _, err := c.Write(make([]byte, 10_000)); err != nil || !tcp.until.IsZero() {
			t.Errorf("after the handshake writes are bounded by %v, %v", tcp.until, err)
		}
	}
}
