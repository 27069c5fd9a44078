package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/edgewright/edgewright/fault"
)

// role makes this test binary a successor that behaves in some way.
const role = "HANDOVER_TEST_ROLE"

func TestMain(m *testing.M) {
	if r := os.Getenv(role); r != "" {
		if err := successor(r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func successor(r string) error {
	i, err := Inherit()
	if err != nil {
		return err
	}
	switch r {
	case "dies":
		return nil
	case "hangs":
		time.Sleep(time.Minute) // until it is killed
		return nil
	}
	if os.Getenv(Variable) != "" || i.Has("unknown") || !i.Has("tcp") {
		return errors.New("not what was left")
	}
	l, err := i.Listener("tcp")
	if err != nil {
		return err
	}
	if _, err := i.Listener("tcp"); !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("taken twice: %v", err)
	}
	if _, err := i.Listener("udp"); err == nil {
		return errors.New("a UDP socket was taken for a listener")
	}
	way, err := i.Unix("way")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := i.Ready(ctx); err != nil {
		return err
	}
	<-i.Released()
	if err := i.Ready(ctx); err != nil { // once is enough
		return err
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_, _ = io.WriteString(c, "from the successor: "+i.Value("greeting"))
	_, err = way.Write([]byte("done"))
	return err
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func as(r string) []string { return append(os.Environ(), role+"="+r, Variable+"=of an earlier life") }

func TestTakeOver(t *testing.T) {
	l := listen(t)
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	near, far, err := Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		t.Fatal(err)
	}
	inbox, err := FileConn(near, "way")
	if err != nil {
		t.Fatal(err)
	}
	defer inbox.Close()
	way, err := FileConn(far, "way")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := Start(ctx, Options{
		Env: as("serves"), Values: map[string]string{"greeting": "hello"},
		Sockets: []Socket{{"tcp", l}, {"udp", udp}, {"way", way}},
	})
	way.Close()
	if err != nil {
		t.Fatal(err)
	}
	// Passing the listener on has not made it blocking here.
	_ = l.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("accepting after the handover: %v", err)
	}
	l.Close()
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); err != nil || string(b) != "from the successor: hello" {
		t.Errorf("%q, %v", b, err)
	}
	word := make([]byte, 10)
	if n, err := inbox.Read(word); err != nil || string(word[:n]) != "done" {
		t.Errorf("%q, %v", word[:n], err)
	}
	if state, err := s.Process.Wait(); err != nil || !state.Success() {
		t.Errorf("the successor ended with %v, %v", state, err)
	}
}

func TestSuccessorThatFails(t *testing.T) {
	l := listen(t)
	for r, says := range map[string]string{"dies": "ended before it was ready", "hangs": "not ready in time"} {
		ctx, cancel := context.WithTimeout(t.Context(), map[string]time.Duration{"dies": 20 * time.Second, "hangs": 300 * time.Millisecond}[r])
		s, err := Start(ctx, Options{Env: as(r), Sockets: []Socket{{"tcp", l}}})
		cancel()
		if s != nil || !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v", r, s, err)
		}
	}
	if _, err := Start(t.Context(), Options{Path: "/nonexistent"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no program: %v", err)
	}
	// This process goes on.
	go func() {
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			c.Close()
		}
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestNothingInherited(t *testing.T) {
	i, err := Inherit()
	if i != nil || err != nil {
		t.Fatalf("%v, %v", i, err)
	}
	// A nil inheritance can be asked all the same.
	if i.Has("x") || i.Value("x") != "" || i.Ready(t.Context()) != nil {
		t.Error("something was inherited")
	}
	if _, err := i.Listener("x"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	t.Setenv(Variable, "{")
	if _, err := Inherit(); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// TestPredecessorThatDies lets the successor go on.
func TestPredecessorThatDies(t *testing.T) {
	near, far, err := Pair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	control, err := FileConn(near, "control")
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(far)
	i := &Inheritance{control: control, released: make(chan struct{})}
	if err := i.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	<-i.Released()
}
