package httpedge_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/edge/node/nodetest"
	"github.com/edgewright/edgewright/edgeconfig"
)

// echoSocket accepts a WebSocket and sends every message back.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/refused" {
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(2 << 20)
	for {
		kind, b, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, b); err != nil {
			return
		}
	}
}

func TestWebSocket(t *testing.T) {
	e := edgeWith(t, echoSocket)
	for _, scheme := range []string{"http", "https"} {
		c, resp, err := websocket.Dial(t.Context(), scheme+"://shop.test/ws", &websocket.DialOptions{
			HTTPClient: e.Client(1), Subprotocols: []string{"chat"},
			HTTPHeader: http.Header{"Origin": {scheme + "://shop.test:" + port(e, scheme)}},
		})
		if err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		if c.Subprotocol() != "chat" || resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("subprotocol %q, header %v", c.Subprotocol(), resp.Header)
		}
		for _, size := range []int{0, 1, 125, 70_000, 1 << 20} {
			c.SetReadLimit(2 << 20)
			want := strings.Repeat("x", size)
			if err := c.Write(t.Context(), websocket.MessageBinary, []byte(want)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != want {
				t.Fatalf("%d bytes came back as %d, %v", size, len(got), err)
			}
		}
		if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	var tunnels int64
	poll(t, "the tunnels' requests in the counters", func() bool {
		tunnels += e.Take(time.Minute).Sites["dom_shop"].Status[1]
		return tunnels == 2
	})
}

func port(e *nodetest.Edge, scheme string) string {
	address := e.HTTPAddr()
	if scheme == "https" {
		address = e.HTTPSAddr()
	}
	_, port, _ := net.SplitHostPort(address)
	return port
}

// TestRefusedUpgradeEndsTheConnection shows that nothing after a handshake is
// read as a request when the origin did not switch.
func TestRefusedUpgradeEndsTheConnection(t *testing.T) {
	e := edgeWith(t, echoSocket)
	out := raw(t, e.HTTPAddr(), "GET /refused HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: shop.test\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 403 ") || strings.Count(out, "X-Request-Id") != 1 || !strings.Contains(out, "Connection: close") {
		t.Errorf("%q", out)
	}
}

// TestTunnelPassesEarlyBytes has a client that does not wait for the 101.
func TestTunnelPassesEarlyBytes(t *testing.T) {
	e := edgeWith(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(c, "got "+line)
	})
	out := raw(t, e.HTTPAddr(), "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly\n\n\n")
	if !strings.HasPrefix(out, "HTTP/1.1 101 ") || !strings.HasSuffix(out, "\r\n\r\ngot early\n") {
		t.Errorf("%q", out)
	}
}

// TestWebSocketOverHTTP3 is extended CONNECT, RFC 9220.
func TestWebSocketOverHTTP3(t *testing.T) {
	e := edgeWith(t, echoSocket)
	config := e.TLS("h3")
	config.ServerName = "shop.test"
	conn, err := quic.DialAddr(t.Context(), e.HTTPSAddr(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	tr := &http3.Transport{}
	defer tr.Close()
	c := tr.NewClientConn(conn)
	<-c.ReceivedSettings()
	if !c.Settings().EnableExtendedConnect {
		t.Fatal("extended CONNECT is not offered")
	}
	connect := func(path, protocol string) (*http3.RequestStream, *http.Response) {
		str, err := c.OpenRequestStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := request(t, "CONNECT", "https://shop.test"+path, "", "Sec-WebSocket-Version", "13")
		r.Proto = protocol
		if err := str.SendRequestHeader(r); err != nil {
			t.Fatal(err)
		}
		resp, err := str.ReadResponse()
		if err != nil {
			t.Fatal(err)
		}
		return str, resp
	}
	if _, resp := connect("/refused", "websocket"); resp.StatusCode != 403 {
		t.Errorf("refused: %d", resp.StatusCode)
	}
	if _, resp := connect("/", "connect-udp"); resp.StatusCode != 501 {
		t.Errorf("another protocol: %d", resp.StatusCode)
	}
	str, resp := connect("/ws", "websocket")
	if resp.StatusCode != 200 {
		t.Fatalf("%d", resp.StatusCode)
	}
	// A masked text frame "hi" (mask 0), then the same unmasked as the answer.
	_, _ = str.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'})
	got := make([]byte, 4)
	if _, err := io.ReadFull(str, got); err != nil || string(got) != "\x81\x02hi" {
		t.Errorf("%q, %v", got, err)
	}
	_ = str.Close()
}

// rawCodec lets gRPC carry bytes.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (rawCodec) Name() string { return "raw" }

// grpcOrigin serves health checks, and a conversation that answers each message.
func grpcOrigin(t *testing.T, options ...grpc.ServerOption) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(append(options, grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		for {
			var m []byte
			err := stream.RecvMsg(&m)
			if err == io.EOF {
				stream.SetTrailer(metadata.Pairs("x-trailer", "sent"))
				return status.Error(codes.DataLoss, "as asked")
			}
			if err != nil {
				return err
			}
			answer := append([]byte("got "), m...)
			if err := stream.SendMsg(&answer); err != nil {
				return err
			}
		}
	}), grpc.ForceServerCodec(rawCodec{}))...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	return ln.Addr().String()
}

func TestGRPC(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("origin TLS %v", secure), func(t *testing.T) {
			e := nodetest.Start(t)
			var s *edgeconfig.Site
			if secure {
				config := &tls.Config{Certificates: []tls.Certificate{e.CA.Issue(t, "shop.test")}}
				s = nodetest.Site("dom_shop", "shop.test", "https://"+grpcOrigin(t, grpc.Creds(credentials.NewTLS(config))))
				s.Pool.Origins[0].ServerName, s.Pool.Origins[0].RootCAPEM = "shop.test", e.CA.RootPEM()
			} else {
				s = nodetest.Site("dom_shop", "shop.test", "http://"+grpcOrigin(t))
				s.Pool.Origins[0].HTTP2 = "prior_knowledge"
			}
			s.Pool.IdleTimeoutMS = 1 // streams of messages are exempt
			e.Serve(s)
			config := e.TLS()
			config.ServerName = "shop.test"
			conn, err := grpc.NewClient("passthrough:///"+e.HTTPSAddr(), grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithAuthority("shop.test"), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Talk/Talk")
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				m := fmt.Appendf(nil, "message %d", i)
				if err := stream.SendMsg(&m); err != nil {
					t.Fatal(err)
				}
				var got []byte
				if err := stream.RecvMsg(&got); err != nil || string(got) != "got "+string(m) {
					t.Fatalf("%q, %v", got, err)
				}
			}
			_ = stream.CloseSend()
			var rest []byte
			err = stream.RecvMsg(&rest)
			if st := status.Convert(err); st.Code() != codes.DataLoss || st.Message() != "as asked" {
				t.Errorf("status %v", err)
			}
			if got := stream.Trailer()["x-trailer"]; len(got) != 1 || got[0] != "sent" {
				t.Errorf("trailers %v", stream.Trailer())
			}
		})
	}
}

// TestGRPCTrailersOnly is an answer whose status comes with the head.
func TestGRPCTrailersOnly(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(insecure.NewCredentials()))
	healthpb.RegisterHealthServer(server, health.NewServer())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	defer func() {
		server.Stop()
		<-done
	}()
	e := nodetest.Start(t)
	s := nodetest.Site("dom_shop", "shop.test", "http://"+ln.Addr().String())
	s.Pool.Origins[0].HTTP2 = "prior_knowledge"
	e.Serve(s)
	config := e.TLS()
	config.ServerName = "shop.test"
	conn, err := grpc.NewClient("passthrough:///"+e.HTTPSAddr(), grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithAuthority("shop.test"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)
	if r, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("%v", err)
	}
}

// TestTunnelsEndWithTheNode: a shutdown waits for tunnels, then cuts them.
func TestTunnelsEndWithTheNode(t *testing.T) {
	e := edgeWith(t, echoSocket)
	c, _, err := websocket.Dial(t.Context(), "http://shop.test/ws", &websocket.DialOptions{HTTPClient: e.Client(1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Shutdown(ctx) }()
	for range 3 { // still alive while the node drains
		if err := c.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("a shutdown that cut a tunnel must say so")
	}
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("the tunnel outlived its node")
	}
}
