package framing

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, head string
		want       Framing
		bad        *Refusal
	}{
		{"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing{}, nil},
		{"old without host", "GET / HTTP/1.0\r\n\r\n", Framing{}, nil},
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:  12 \r\n\r\n", Framing{Length: 12}, nil},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n", Framing{Chunked: true}, nil},
		{"websocket", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\r\n", Framing{WebSocket: true}, nil},
		{"websocket with a body", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n", Framing{Length: 3}, nil},
		{"tab in value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n", Framing{}, nil},
		{"raw bytes in value", "GET / HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n", Framing{}, nil},

		{"length and coding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", Framing{}, refuseBoth},
		{"coding and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", Framing{}, refuseBoth},
		{"two lengths that differ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", Framing{}, refuseLength},
		{"two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n", Framing{}, refuseLength},
		{"list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\n", Framing{}, refuseLength},
		{"signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n", Framing{}, refuseLength},
		{"hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\n", Framing{}, refuseLength},
		{"empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", Framing{}, refuseLength},
		{"huge length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", Framing{}, refuseLength},
		{"coding in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Framing{}, refuseTransfer},
		{"two codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", Framing{}, refuseCoding},
		{"list of codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Framing{}, refuseCoding},
		{"coding in disguise", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", Framing{}, refuseCoding},
		{"coding with a tab", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", Framing{}, refuseValue},
		{"space before colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\n", Framing{}, refuseName},
		{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", Framing{}, refuseName},
		{"empty name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", Framing{}, refuseName},
		{"NUL in name", "GET / HTTP/1.1\r\nHost: a\r\nX\x00: x\r\n\r\n", Framing{}, refuseName},
		{"folded", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", Framing{}, refuseFold},
		{"folded first", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", Framing{}, refuseFold},
		{"bare LF", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", Framing{}, refuseLine},
		{"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", Framing{}, refuseLine},
		{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", Framing{}, refuseLine},
		{"bare CR", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Framing{}, refuseLine},
		{"NUL in value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", Framing{}, refuseValue},
		{"no host", "GET / HTTP/1.1\r\n\r\n", Framing{}, refuseHost},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Framing{}, refuseHost},
		{"two hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Framing{}, refuseHost},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Framing{}, refuseStart},
		{"space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Framing{}, refuseStart},
		{"tab in target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", Framing{}, refuseStart},
		{"no version", "GET /\r\nHost: a\r\n\r\n", Framing{}, refuseStart},
		{"odd version", "GET / HTTP/1.1x\r\nHost: a\r\n\r\n", Framing{}, refuseStart},
		{"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", Framing{}, refuseStart},
		{"version 2", "PRI * HTTP/2.0\r\n\r\n", Framing{}, refuseVersion},
		{"version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", Framing{}, refuseVersion},
		{"bad percent", "GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", Framing{}, refusePercent},
		{"percent in the query", "GET /?100% HTTP/1.1\r\nHost: a\r\n\r\n", Framing{}, nil},
		{"user in host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Framing{}, refuseHostName},
		{"method with a colon", "GE:T / HTTP/1.1\r\nHost: a\r\n\r\n", Framing{}, refuseStart},
		{"too many fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 20) + "\r\n", Framing{}, refuseFields},
	} {
		t.Run(c.name, func(t *testing.T) {
			if end := headEnd([]byte(c.head), 0); end != len(c.head) {
				t.Fatalf("the head ends at %d of %d", end, len(c.head))
			}
			got, bad := Check([]byte(c.head), 20)
			if bad != c.bad {
				t.Fatalf("got %v, want %v", bad, c.bad)
			}
			if bad == nil && got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAcceptOf(t *testing.T) {
	if got := acceptOf([]byte("GET / HTTP/1.1\r\nX: y\r\nACCEPT: text/html \r\nbroken\r\n\r\n")); got != "text/html" {
		t.Errorf("got %q", got)
	}
	if got := acceptOf([]byte("x\n\n")); got != "" {
		t.Errorf("got %q", got)
	}
}

// scripted is a connection whose input comes in given pieces.
type scripted struct {
	net.Conn
	pieces  [][]byte
	written bytes.Buffer
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}
func (s *scripted) Write(p []byte) (int, error)      { return s.written.Write(p) }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

func options() *Options {
	return &Options{
		HeadBytes: 8 << 10, Fields: 50, HeadTimeout: time.Minute, WriteTimeout: time.Minute,
		Answer: func(r *Refusal, accept string) []byte { return []byte(r.Detail) },
	}
}

func cut(input []byte, size int) (pieces [][]byte) {
	for len(input) > 0 {
		n := min(size, len(input))
		pieces = append(pieces, input[:n:n])
		input = input[n:]
	}
	return pieces
}

// drain reads a connection to its end with reads of a given size, at least 2.
func drain(pieces [][]byte, read int) (out []byte, answer string, err error) {
	s := &scripted{pieces: pieces}
	c := NewConn(s, options())
	buf := make([]byte, read)
	for {
		n, err := c.Read(buf)
		out = append(out, buf[:n]...)
		if err != nil {
			return out, s.written.String(), err
		}
	}
}

const (
	get     = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
	post    = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	chunks  = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
	socket  = "GET /s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n\x81\x00 not HTTP\n\n"
	smuggle = "POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"
)

func TestConnPassesRequestsHoweverTheyAreCut(t *testing.T) {
	good := get + post + chunks + "\r\n" + get + chunks + post
	want := strings.ReplaceAll(good, "\r\n\r\n\r\nGET", "\r\n\r\nGET")
	for _, read := range []int{2, 7, 100, 4096} {
		for size := 1; size <= len(good); size++ {
			got, answer, err := drain(cut([]byte(good), size), read)
			if string(got) != want || answer != "" || err != io.EOF {
				t.Fatalf("pieces of %d, reads of %d: %q, answered %q, %v", size, read, got, answer, err)
			}
		}
	}
	if got, _, _ := drain(cut([]byte(get+socket), 9), 4096); string(got) != get+socket {
		t.Errorf("a tunnel's bytes must pass as they are, got %q", got)
	}
}

func TestConnRefuses(t *testing.T) {
	for _, c := range []struct{ input, passed, answer string }{
		{get + smuggle, get, refuseBoth.Detail},
		{post + "BAD\r\n\r\n", post, refuseStart.Detail},
		{"GET /" + strings.Repeat("x", 9000) + " HTTP/1.1\r\nHost: a\r\n\r\n", "", "the request's header is too large"},
		{strings.Repeat("x", 9000), "", "the request's header is too large"},
	} {
		for _, size := range []int{1, 3, 50, 10_000} {
			got, answer, err := drain(cut([]byte(c.input), size), 4096)
			if string(got) != c.passed || answer != c.answer || err != io.EOF {
				t.Errorf("%.60q in pieces of %d: passed %q, answered %q, %v", c.input, size, got, answer, err)
			}
		}
	}
}

func TestConnBreaksBadChunks(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, bad := range []string{
		"\r\n", "x\r\n", "-1\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n", "5\r\nhello\n0\r\n\r\n",
		"5;a\x00\r\n", "5;a\rb\r\n", "0\r\n\n", "0\r\nT: x\n\r\n", "FFFFFFFFFFFFFFFFF\r\n", "0x5\r\nhello\r\n",
		"5;" + strings.Repeat("x", maxExtra+1), "0\r\nT: " + strings.Repeat("x", maxExtra+1),
	} {
		for _, size := range []int{1, 10, 20_000} {
			_, _, err := drain(cut([]byte(head+bad), size), 4096)
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Status != 400 {
				t.Errorf("%.40q in pieces of %d: %v", bad, size, err)
			}
		}
	}
}

// TestConnUnderNetHTTP serves real requests through a checked connection:
// background reads, pipelining, keep-alive and hijacking work.
// stalling is a connection that misses its deadline at each empty piece.
type stalling struct{ scripted }

func (s *stalling) Read(p []byte) (int, error) {
	if len(s.pieces) > 0 && len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
		return 0, os.ErrDeadlineExceeded
	}
	return s.scripted.Read(p)
}

// A body that came too late is not read as the next request.
func TestConnEndsWithABodyThatIsLate(t *testing.T) {
	for name, head := range map[string]string{
		"length":  "POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhe",
		"chunked": "POST /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhe",
	} {
		c := NewConn(&stalling{scripted{pieces: [][]byte{[]byte(head), nil, []byte(get)}}}, options())
		buf := make([]byte, 4096)
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != head {
			t.Fatalf("%s: read %q, %v", name, buf[:n], err)
		}
		if err := c.SetReadDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%s: at the deadline: %q, %v", name, buf[:n], err)
		}
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); n != 0 || err == nil {
			t.Errorf("%s: after the deadline: %q, %v", name, buf[:n], err)
		}
	}
}

func TestConnUnderNetHTTP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.(*Conn).Tunnel()
			got := make([]byte, 12)
			_, _ = io.ReadFull(rw, got)
			_, _ = c.Write(got)
			return
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, r.URL.Path+string(b))
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(checkedListener{ln, options()}) }()
	defer func() {
		server.Close()
		<-done
	}()

	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	answer := func(want string) {
		t.Helper()
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != want {
			t.Fatalf("got %q, %v; want %q", b, err, want)
		}
	}
	for range 3 {
		_, _ = io.WriteString(conn, get)
		answer("/a")
		_, _ = io.WriteString(conn, get+post+chunks+get)
		answer("/a")
		answer("/bhello")
		answer("/chello0123456789")
		answer("/a")
	}
	_, _ = io.WriteString(conn, get+socket)
	answer("/a")
	got := make([]byte, 12)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "\x81\x00 not HTTP\n" {
		t.Errorf("through the tunnel came %q, %v", got, err)
	}
}

func TestConnRefusalUnderNetHTTP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })}
	done := make(chan error, 1)
	go func() { done <- server.Serve(checkedListener{ln, options()}) }()
	defer func() {
		server.Close()
		<-done
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The good request before the bad one is answered in full.
	_, _ = io.WriteString(conn, get+smuggle)
	all, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(all), "\r\n\r\nok") || !strings.HasSuffix(string(all), refuseBoth.Detail) {
		t.Errorf("got %q, %v", all, err)
	}
}

type checkedListener struct {
	net.Listener
	o *Options
}

func (l checkedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return NewConn(c, l.o), nil
}

// FuzzConn checks that what passes does not depend on how the input is cut, and
// that net/http reads what passed without finding fault with its framing.
func FuzzConn(f *testing.F) {
	for _, s := range []string{get + post, chunks + get, smuggle, socket, "\r\n" + get, "GET / HTTP/1.1\nHost: a\n\n"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, input []byte, size uint8) {
		whole, answer, err := drain(cut(input, len(input)+1), 1<<16)
		pieces, answer2, err2 := drain(cut(input, int(size)+1), 2+int(size)*3)
		if !bytes.Equal(whole, pieces) || answer != answer2 || (err == io.EOF) != (err2 == io.EOF) {
			t.Fatalf("whole: %q %q %v\npieces of %d: %q %q %v", whole, answer, err, int(size)+1, pieces, answer2, err2)
		}
		r := bufio.NewReader(bytes.NewReader(whole))
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if len(req.TransferEncoding) > 0 && req.Header.Get("Content-Length") != "" || req.Header.Get("Upgrade") != "" {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	head := []byte("GET /assets/app.js HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\nCookie: session=0123456789abcdef\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if headEnd(head, 0) == 0 {
			b.Fatal("no end")
		}
		if _, bad := Check(head, 100); bad != nil {
			b.Fatal(bad)
		}
	}
}
