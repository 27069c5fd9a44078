package framing

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// counting counts the reads of one byte, as net/http's background read makes them.
type counting struct {
	net.Conn
	single *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	if len(p) == 1 {
		c.single.Add(1)
	}
	return c.Conn.Read(p)
}

func (c counting) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

type countingListener struct {
	net.Listener
	single atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return NewConn(counting{c, &l.single}, options()), nil
}

type connKey struct{}

// watched serves a handler that is given the Conn, and returns a client
// connection.
func watched(t *testing.T, handler func(c *Conn, w http.ResponseWriter, r *http.Request)) (*net.TCPConn, *bufio.Reader, *countingListener) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &countingListener{Listener: ln}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handler(r.Context().Value(connKey{}).(*Conn), w, r)
		}),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Close()
		<-done
	})
	return conn.(*net.TCPConn), bufio.NewReader(conn), l
}

func answered(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != want {
		t.Fatalf("got %q, %v; want %q", b, err, want)
	}
}

// TestNothingIsReadInTheBackground pins what Read does with net/http's
// background read: it must never reach the connection.
func TestNothingIsReadInTheBackground(t *testing.T) {
	conn, in, l := watched(t, func(_ *Conn, w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.URL.Path+string(b))
	})
	for range 50 {
		_, _ = io.WriteString(conn, get)
		answered(t, in, "/a")
		_, _ = io.WriteString(conn, post)
		answered(t, in, "/bhello")
		_, _ = io.WriteString(conn, chunks+get)
		answered(t, in, "/chello0123456789")
		answered(t, in, "/a")
	}
	if n := l.single.Load(); n != 0 {
		t.Errorf("%d reads of a byte", n)
	}
}

func TestWatch(t *testing.T) {
	t.Run("the client leaves", func(t *testing.T) {
		asked, left := make(chan struct{}), make(chan struct{})
		conn, _, _ := watched(t, func(c *Conn, _ http.ResponseWriter, _ *http.Request) {
			gone := make(chan struct{})
			stop := c.Watch(1, func() { close(gone) })
			defer stop()
			close(asked)
			<-gone
			close(left)
		})
		_, _ = io.WriteString(conn, get)
		<-asked
		conn.Close()
		<-left
	})

	t.Run("the client closes its side", func(t *testing.T) {
		conn, in, _ := watched(t, func(c *Conn, w http.ResponseWriter, _ *http.Request) {
			gone := make(chan struct{})
			stop := c.Watch(1, func() { close(gone) })
			<-gone
			stop()
			_, _ = io.WriteString(w, "late") // may still be sent
		})
		_, _ = io.WriteString(conn, get)
		_ = conn.CloseWrite()
		answered(t, in, "late")
	})

	t.Run("the client stays", func(t *testing.T) {
		conn, in, l := watched(t, func(c *Conn, w http.ResponseWriter, _ *http.Request) {
			stop := c.Watch(1, func() { t.Error("it has not left") })
			// The watch is under way when its read is.
			for {
				c.deadlines.Lock()
				reading := c.reading
				c.deadlines.Unlock()
				if reading {
					break
				}
				time.Sleep(time.Millisecond)
			}
			stop()
			_, _ = io.WriteString(w, "ok")
		})
		for range 20 {
			_, _ = io.WriteString(conn, get)
			answered(t, in, "ok")
		}
		if n := l.single.Load(); n < 20 {
			t.Errorf("%d reads of a byte for 20 watches", n)
		}
	})

	t.Run("the answer is there before", func(t *testing.T) {
		conn, in, l := watched(t, func(c *Conn, w http.ResponseWriter, _ *http.Request) {
			c.Watch(time.Hour, func() { t.Error("it has not left") })()
			_, _ = io.WriteString(w, "ok")
		})
		for range 20 {
			_, _ = io.WriteString(conn, get)
			answered(t, in, "ok")
		}
		if n := l.single.Load(); n != 0 {
			t.Errorf("%d reads of a byte", n)
		}
	})

	t.Run("the next request arrives", func(t *testing.T) {
		more, taken := make(chan struct{}), 0
		conn, in, l := watched(t, func(c *Conn, w http.ResponseWriter, r *http.Request) {
			if taken++; taken%2 == 1 {
				stop := c.Watch(1, func() { t.Error("it has not left") })
				more <- struct{}{}
				defer stop()
				for c.single() == 0 { // until the watch has read it
					time.Sleep(time.Millisecond)
				}
			}
			b, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, r.URL.Path+string(b))
		})
		for _, next := range []string{get, post, chunks} {
			l.single.Store(0)
			_, _ = io.WriteString(conn, get)
			<-more
			_, _ = io.WriteString(conn, next)
			answered(t, in, "/a")
			answered(t, in, map[string]string{get: "/a", post: "/bhello", chunks: "/chello0123456789"}[next])
		}
	})
}

// single is how many reads of a byte its connection has seen.
func (c *Conn) single() int64 { return c.Conn.(counting).single.Load() }

// TestHeadTimeoutAfterAWatch: the watch's deadlines must not leave the next head
// without one.
func TestHeadTimeoutAfterAWatch(t *testing.T) {
	conn, in, _ := watched(t, func(c *Conn, w http.ResponseWriter, _ *http.Request) {
		c.o.HeadTimeout = 10 * time.Millisecond
		c.Watch(1, func() {})()
		_, _ = io.WriteString(w, "ok")
	})
	_, _ = io.WriteString(conn, get)
	answered(t, in, "ok")
	_, _ = io.WriteString(conn, "GET / HT")
	all, err := io.ReadAll(in)
	if err != nil || string(all) != "the request's header took too long to arrive" {
		t.Errorf("%q, %v", all, err)
	}
}
