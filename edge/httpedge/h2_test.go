package httpedge_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/node"
	"github.com/edgewright/edgewright/edge/node/nodetest"
)

// h2conn is a client that does with HTTP/2 what no client should.
type h2conn struct {
	*http2.Framer
	t        *testing.T
	conn     *tls.Conn
	enc      *hpack.Encoder
	block    bytes.Buffer
	settings map[http2.SettingID]uint32 // the node's
}

func dialH2(t *testing.T, e *nodetest.Edge, settings ...http2.Setting) *h2conn {
	t.Helper()
	config := e.TLS("h2")
	config.ServerName = "shop.test"
	conn, err := tls.Dial("tcp", e.HTTPSAddr(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10) // what is not read is soon in the node's way
	// A connection that is neither ended nor served would hang the test.
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	c := &h2conn{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, settings: map[http2.SettingID]uint32{}}
	c.enc = hpack.NewEncoder(&c.block)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	for len(c.settings) == 0 {
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := f.(*http2.SettingsFrame); ok && !f.IsAck() {
			_ = f.ForeachSetting(func(s http2.Setting) error {
				c.settings[s.ID] = s.Val
				return nil
			})
		}
	}
	_ = c.WriteSettingsAck()
	return c
}

func (c *h2conn) fields(fields ...string) []byte {
	c.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return c.block.Bytes()
}

func (c *h2conn) get(stream uint32, path string) error {
	return c.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, EndStream: true, EndHeaders: true,
		BlockFragment: c.fields(":method", "GET", ":scheme", "https", ":authority", "shop.test", ":path", path),
	})
}

// status reads on to the answer on a stream.
func (c *h2conn) status(stream uint32) string {
	c.t.Helper()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("before an answer on stream %d: %v", stream, err)
		}
		if f, ok := f.(*http2.MetaHeadersFrame); ok && f.StreamID == stream {
			return f.PseudoValue("status")
		}
	}
}

// data reads on to n bytes of content on a stream.
func (c *h2conn) data(stream uint32, n int) string {
	c.t.Helper()
	var b []byte
	for len(b) < n {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("after %d bytes on stream %d: %v", len(b), stream, err)
		}
		if f, ok := f.(*http2.DataFrame); ok && f.StreamID == stream {
			b = append(b, f.Data()...)
		}
	}
	return string(b)
}

// ended reads on until the node ends the connection, and returns the reason it
// has given.
func (c *h2conn) ended() http2.ErrCode {
	c.t.Helper()
	code := http2.ErrCodeNo
	for {
		f, err := c.ReadFrame()
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			c.t.Fatal("the connection goes on")
		}
		if err != nil {
			return code
		}
		if f, ok := f.(*http2.GoAwayFrame); ok {
			code = f.ErrCode
		}
	}
}

func TestWebSocketOverHTTP2(t *testing.T) {
	e := edgeWith(t, echoSocket)
	c := dialH2(t, e)
	if c.settings[http2.SettingEnableConnectProtocol] != 1 {
		t.Fatalf("extended CONNECT is not offered: %v", c.settings)
	}
	connect := func(stream uint32, path, protocol string) string {
		t.Helper()
		err := c.WriteHeaders(http2.HeadersFrameParam{
			StreamID: stream, EndHeaders: true,
			BlockFragment: c.fields(":method", "CONNECT", ":protocol", protocol, ":scheme", "https", ":authority", "shop.test", ":path", path, "sec-websocket-version", "13"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return c.status(stream)
	}
	if status := connect(1, "/refused", "websocket"); status != "403" {
		t.Errorf("refused: %s", status)
	}
	if status := connect(3, "/", "connect-udp"); status != "501" {
		t.Errorf("another protocol: %s", status)
	}
	for _, stream := range []uint32{5, 7} { // two beside each other
		if status := connect(stream, "/ws", "websocket"); status != "200" {
			t.Fatalf("stream %d: %s", stream, status)
		}
	}
	for _, stream := range []uint32{7, 5, 7} {
		// A masked text frame "hi" (mask 0), then the same unmasked as the answer.
		_ = c.WriteData(stream, false, []byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'})
		if got := c.data(stream, 4); got != "\x81\x02hi" {
			t.Errorf("stream %d: %q", stream, got)
		}
	}
	// Its end passes: a close frame is answered, and the stream ended.
	_ = c.WriteData(5, true, []byte{0x88, 0x80, 0, 0, 0, 0})
	if got := c.data(5, 2); got != "\x88\x00" {
		t.Errorf("a close was answered %q", got)
	}
	// A client that resets the other leaves the connection as it was.
	_ = c.WriteRSTStream(7, http2.ErrCodeCancel)
	if status := connect(9, "/ws", "websocket"); status != "200" {
		t.Errorf("after a reset: %s", status)
	}
}

// TestHTTP2Abuse: what floods a connection with HTTP/2's own means ends it, or
// is bounded; other clients are served meanwhile.
func TestHTTP2Abuse(t *testing.T) {
	release := make(chan struct{})
	var now, most atomic.Int64 // requests at the origin
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		w.Header().Set("Cache-Control", "no-store")
		switch r.URL.Path {
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-release:
			}
		default:
			_, _ = io.WriteString(w, "ok")
		}
	})
	defer close(release)
	others := func(t *testing.T) {
		t.Helper()
		for range 5 {
			if a := get(t, e.Client(2), "https://shop.test/other"); a.status != 200 || a.body != "ok" {
				t.Fatalf("another client got %d %q", a.status, a.body)
			}
		}
	}
	// flood sends the same frames until the node does not take them any more.
	flood := func(c *h2conn, frame func(f *http2.Framer)) {
		var b bytes.Buffer
		for f := http2.NewFramer(&b, nil); b.Len() < 8<<10; {
			frame(f)
		}
		for {
			if _, err := c.conn.Write(b.Bytes()); err != nil {
				return
			}
		}
	}

	t.Run("rapid reset", func(t *testing.T) { // CVE-2023-44487
		c := dialH2(t, e)
		limit := int64(c.settings[http2.SettingMaxConcurrentStreams])
		last := uint32(1)
		for range 10 * limit {
			if errors.Join(c.get(last, "/slow"), c.WriteRSTStream(last, http2.ErrCodeCancel)) != nil {
				break // ended is as good as bounded
			}
			last += 2
		}
		others(t)
		c.conn.Close()
		poll(t, "the end of all that was reset", func() bool { return now.Load() == 0 })
		if most.Load() > limit+1 {
			t.Errorf("%d requests at a time were at the origin; %d streams are allowed", most.Load(), limit)
		}
	})

	t.Run("CONTINUATION", func(t *testing.T) { // CVE-2023-45288
		c := dialH2(t, e)
		_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true, BlockFragment: c.fields(":method", "GET", ":scheme", "https", ":authority", "shop.test", ":path", "/")})
		piece := bytes.Repeat([]byte{0, 1, 'a', 1, 'b'}, 1600) // a: b, not indexed
		flood(c, func(f *http2.Framer) { _ = f.WriteContinuation(1, false, piece) })
		_ = c.ended()
		others(t)
	})

	// Of acknowledgements that nobody reads, the node owes one for SETTINGS and
	// queues a bounded number for PING, after which it ends the connection. Until
	// then a flood costs it what reading costs, and nobody else notices.
	for name, frame := range map[string]func(f *http2.Framer){
		"SETTINGS": func(f *http2.Framer) { _ = f.WriteSettings() },             // CVE-2019-9515
		"PING":     func(f *http2.Framer) { _ = f.WritePing(false, [8]byte{}) }, // CVE-2019-9512
	} {
		t.Run(name, func(t *testing.T) {
			c := dialH2(t, e)
			var over sync.WaitGroup
			over.Go(func() { flood(c, frame) })
			others(t)
			c.conn.NetConn().Close()
			over.Wait()
		})
	}

	t.Run("too many streams", func(t *testing.T) {
		c := dialH2(t, e)
		limit := c.settings[http2.SettingMaxConcurrentStreams]
		if limit == 0 || limit > 1000 {
			t.Fatalf("%d streams at a time", limit)
		}
		for i := range limit + 1 {
			if err := c.get(2*i+1, "/slow"); err != nil {
				t.Fatal(err)
			}
		}
		for {
			f, err := c.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if f, ok := f.(*http2.RSTStreamFrame); ok {
				if f.StreamID != 2*limit+1 {
					t.Errorf("stream %d was reset: %v", f.StreamID, f.ErrCode)
				}
				break
			}
		}
		others(t)
	})
}

// TestHTTP2StalledWindows: a client that opens its windows by nothing is cut
// when it has had the time that any client has to read.
func TestHTTP2StalledWindows(t *testing.T) {
	e := nodetest.Start(t, func(o *node.Options) { o.Limits = httpedge.Limits{WriteTimeout: 300 * time.Millisecond} })
	e.Serve(nodetest.Site("dom_shop", "shop.test", originServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stored" {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		_, _ = w.Write(make([]byte, 60<<10))
	})))
	get(t, e.Client(2), "https://shop.test/stored")
	for _, path := range []string{"/", "/stored"} {
		c := dialH2(t, e, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		const streams = 20
		for i := range uint32(streams) {
			if err := c.get(2*i+1, path); err != nil {
				t.Fatal(err)
			}
		}
		if a := get(t, e.Client(2), "https://shop.test"+path); len(a.body) != 60<<10 {
			t.Errorf("another client got %d bytes", len(a.body))
		}
		for cut := 0; cut < streams; {
			f, err := c.ReadFrame()
			if err != nil {
				break // all at once
			}
			if _, ok := f.(*http2.RSTStreamFrame); ok {
				cut++
			}
		}
	}
}
