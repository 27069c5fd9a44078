package httpedge_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
)

// slowOrigin is an origin that answers when it is told to, or sees its request
// given up.
type slowOrigin struct {
	asked  chan string // the path of each request that has arrived
	answer chan struct{}
	left   chan struct{}
	count  atomic.Int64
}

func (o *slowOrigin) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ws":
		echoSocket(w, r)
		return
	case "/fast":
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "/fast")
		return
	}
	o.count.Add(1)
	b, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/events" {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
	}
	shared := strings.HasPrefix(r.URL.Path, "/shared/")
	if shared {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
	}
	o.asked <- r.URL.Path
	select {
	case <-o.answer:
		if shared {
			_, _ = io.WriteString(w, " end.")
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, r.URL.Path+string(b))
	case <-r.Context().Done():
		o.left <- struct{}{}
	}
}

// departures runs a node that looks at once whether clients leave, before a
// slow origin.
func departures(t *testing.T) (*nodetest.Edge, *slowOrigin) {
	t.Helper()
	o := &slowOrigin{asked: make(chan string, 8), answer: make(chan struct{}), left: make(chan struct{}, 8)}
	e := nodetest.Start(t, func(o *node.Options) {
		o.Limits = httpedge.Limits{DepartureDelay: 1, DrainGrace: 200 * time.Millisecond}
	})
	e.Serve(nodetest.Site("dom_shop", "shop.test", originServer(t, o.serve)))
	return e, o
}

// halfConn is a TCP or TLS connection.
type halfConn interface {
	net.Conn
	CloseWrite() error
}

// open connects to one of the node's doors for HTTP/1.
func open(t *testing.T, e *nodetest.Edge, door string) halfConn {
	t.Helper()
	if door == "http" {
		c, err := net.Dial("tcp", e.HTTPAddr())
		if err != nil {
			t.Fatal(err)
		}
		return c.(*net.TCPConn)
	}
	config := e.TLS("http/1.1")
	config.ServerName = "shop.test"
	c, err := tls.Dial("tcp", e.HTTPSAddr(), config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var doors = []string{"http", "https"}

// eachDoor runs a test over HTTP/1 in clear and above TLS.
func eachDoor(t *testing.T, e *nodetest.Edge, f func(t *testing.T, conn halfConn, in *bufio.Reader)) {
	t.Helper()
	for _, door := range doors {
		t.Run(door, func(t *testing.T) {
			conn := open(t, e, door)
			defer conn.Close()
			f(t, conn, bufio.NewReader(conn))
		})
	}
}

func send(t *testing.T, conn io.Writer, request string) {
	t.Helper()
	if _, err := io.WriteString(conn, strings.Replace(request, "\r\n", " HTTP/1.1\r\nHost: shop.test\r\n", 1)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, in *bufio.Reader, want string) {
	t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(b) != want {
		t.Fatalf("%d %q, %v; want %q", resp.StatusCode, b, err, want)
	}
}

func TestDepartureFreesTheOrigin(t *testing.T) {
	e, o := departures(t)
	for name, request := range map[string]string{
		"a miss":        "GET /miss\r\n\r\n",
		"no caching":    "DELETE /item\r\n\r\n",
		"content":       "POST /form\r\nContent-Length: 3\r\n\r\nabc",
		"chunks":        "POST /chunks\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"silent stream": "GET /events\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			eachDoor(t, e, func(t *testing.T, conn halfConn, _ *bufio.Reader) {
				send(t, conn, request)
				<-o.asked
				conn.Close()
				<-o.left
			})
		})
	}
}

// TestHalfClosedClient: a client that closes its side is taken to have left, as
// TCP cannot tell; what is answered at once, it gets all the same.
func TestHalfClosedClient(t *testing.T) {
	e, o := departures(t)
	get(t, e.Client(1), "http://shop.test/fast")
	get(t, e.Client(1), "https://shop.test/fast")
	eachDoor(t, e, func(t *testing.T, conn halfConn, in *bufio.Reader) {
		send(t, conn, "GET /fast\r\n\r\n")
		_ = conn.CloseWrite()
		receive(t, in, "/fast")
	})
	eachDoor(t, e, func(t *testing.T, conn halfConn, _ *bufio.Reader) {
		send(t, conn, "GET /miss\r\n\r\n")
		<-o.asked
		_ = conn.CloseWrite()
		<-o.left
	})
}

// TestDepartureSparesAFillThatOthersWaitFor: the client that started it leaves.
func TestDepartureSparesAFillThatOthersWaitFor(t *testing.T) {
	e, o := departures(t)
	for i, door := range doors {
		path := "/shared/" + door
		begun := func(in *bufio.Reader) *http.Response {
			t.Helper()
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			part := make([]byte, len("begin"))
			if _, err := io.ReadFull(resp.Body, part); err != nil || string(part) != "begin" {
				t.Fatalf("%q, %v", part, err)
			}
			return resp
		}
		first := open(t, e, door)
		defer first.Close()
		send(t, first, "GET "+path+"\r\n\r\n")
		<-o.asked
		begun(bufio.NewReader(first))
		second := open(t, e, door)
		defer second.Close()
		send(t, second, "GET "+path+"\r\n\r\n")
		resp := begun(bufio.NewReader(second))
		e.Take(time.Minute)
		first.Close()
		var over int64
		poll(t, "the first client's request to end", func() bool {
			over += e.Take(time.Minute).Sites["dom_shop"].Requests
			return over == 1
		})
		o.answer <- struct{}{}
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != " end." {
			t.Errorf("%s: %q, %v", door, b, err)
		}
		if n := o.count.Load(); int(n) != i+1 || len(o.left) != 0 {
			t.Errorf("the origin was asked %d times, and given up %d times", n, len(o.left))
		}
	}
}

// TestBytesWhileAnOriginIsWaitedFor: what a client sends ahead is its next
// request, whole or in part, and no reason to give the first one up.
func TestBytesWhileAnOriginIsWaitedFor(t *testing.T) {
	e, o := departures(t)
	eachDoor(t, e, func(t *testing.T, conn halfConn, in *bufio.Reader) {
		send(t, conn, "DELETE /first\r\n\r\n")
		<-o.asked
		_, _ = io.WriteString(conn, "D")
		o.answer <- struct{}{}
		receive(t, in, "/first")
		_, _ = io.WriteString(conn, "ELETE /second HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		<-o.asked
		send(t, conn, "POST /third\r\nContent-Length: 3\r\n\r\nabc")
		send(t, conn, "DELETE /fourth\r\n\r\n")
		o.answer <- struct{}{}
		receive(t, in, "/second")
		for _, want := range []string{"/thirdabc", "/fourth"} {
			<-o.asked
			o.answer <- struct{}{}
			receive(t, in, want)
		}
		if len(o.left) != 0 {
			t.Error("a request was given up")
		}
	})
}

// TestConnectionAfterAWatchedRequest: it goes on to further requests, to
// content that is asked for, and to a tunnel.
func TestConnectionAfterAWatchedRequest(t *testing.T) {
	e, o := departures(t)
	eachDoor(t, e, func(t *testing.T, conn halfConn, in *bufio.Reader) {
		for range 3 {
			send(t, conn, "DELETE /first\r\n\r\n")
			<-o.asked
			o.answer <- struct{}{}
			receive(t, in, "/first")
		}
		send(t, conn, "POST /asked\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
		for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
			if line, err := in.ReadString('\n'); err != nil || line != want {
				t.Fatalf("%q, %v", line, err)
			}
		}
		_, _ = io.WriteString(conn, "abc")
		<-o.asked
		o.answer <- struct{}{}
		receive(t, in, "/askedabc")

		send(t, conn, "GET /ws\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v, %v", resp, err)
		}
		// A text message "hi", masked with zeros, and its echo.
		_, _ = io.WriteString(conn, "\x81\x82\x00\x00\x00\x00hi")
		got := make([]byte, 4)
		if _, err := io.ReadFull(in, got); err != nil || string(got) != "\x81\x02hi" {
			t.Fatalf("%q, %v", got, err)
		}
		if len(o.left) != 0 {
			t.Error("a request was given up")
		}
	})
}
