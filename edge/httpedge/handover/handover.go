// Package handover passes listening sockets from a process to its successor,
// so that a binary can be replaced without a dropped request.
//
// The predecessor calls Start: the successor is the same executable (or another)
// with the sockets as inherited descriptors. The two talk over a socket pair:
//
//	predecessor: Start ------- exec ----> successor: Inherit
//	                                      ... loads its configuration, accepts on TCP ...
//	Start returns     <------ "ready" --- Ready begins to wait
//	... stops reading the UDP socket ...
//	Release           ------- "yours" --> Ready returns; it reads the UDP socket
//	... finishes its connections, exits ...
//
// A TCP listener can be accepted from by both meanwhile. A UDP socket must have
// one reader, since packets of one connection must come to one process: package
// packets reads, and passes on to the predecessor what is the predecessor's.
//
// Either side survives the other's death: a successor that dies before it is
// ready is reported by Start, and the predecessor goes on; when the predecessor
// dies, Ready returns.
package handover

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/edgewright/edgewright/fault"
)

// Variable is the environment variable that tells a process what it inherits.
const Variable = "EDGEWRIGHT_HANDOVER"

// The words on the control socket.
const (
	wordReady = 'R'
	wordYours = 'Y'
)

// Socket is one socket to pass on: a *net.TCPListener, *net.UDPConn, or
// *net.UnixConn.
type Socket struct {
	Name string
	Conn syscall.Conn
}

// Options of Start.
type Options struct {
	Path    string   // executable; "": this one
	Args    []string // with the name first; nil: this process's
	Env     []string // nil: this process's
	Sockets []Socket
	Values  map[string]string // what else the successor must know
}

// manifest is the value of Variable.
type manifest struct {
	Sockets []string          `json:"sockets"` // names, from descriptor 4 on; 3 is the control socket
	Values  map[string]string `json:"values,omitempty"`
}

const firstDescriptor = 3

// Inheritance is what a process got from the one it replaces.
type Inheritance struct {
	control  *net.UnixConn
	files    map[string]*os.File
	values   map[string]string
	released chan struct{}
}

// Inherit returns what this process inherits, nil when it replaces none. It is
// called once, before anything opens descriptors of its own.
func Inherit() (*Inheritance, error) {
	text, ok := os.LookupEnv(Variable)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(Variable); err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fault.New(fault.Invalid, "%s does not hold what a predecessor writes: unset it: %w", Variable, err)
	}
	i := &Inheritance{files: map[string]*os.File{}, values: m.Values, released: make(chan struct{})}
	control := inheritedFile(firstDescriptor, "control")
	defer control.Close()
	conn, err := net.FileConn(control)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the control socket of the predecessor was not inherited: unset %s: %w", Variable, err)
	}
	if i.control, ok = conn.(*net.UnixConn); !ok {
		return nil, fault.New(fault.Invalid, "descriptor %d is not the predecessor's control socket: unset %s", firstDescriptor, Variable)
	}
	for n, name := range m.Sockets {
		i.files[name] = inheritedFile(firstDescriptor+1+n, name)
	}
	return i, nil
}

func (i *Inheritance) file(name string) (*os.File, error) {
	if i == nil || i.files[name] == nil {
		return nil, fault.New(fault.NotFound, "no socket %q is inherited", name)
	}
	f := i.files[name]
	delete(i.files, name)
	return f, nil
}

// Has reports whether a socket is inherited that was not taken yet.
func (i *Inheritance) Has(name string) bool { return i != nil && i.files[name] != nil }

// Value returns what the predecessor wanted known, "" when it said nothing.
func (i *Inheritance) Value(name string) string {
	if i == nil {
		return ""
	}
	return i.values[name]
}

// Listener takes a TCP listener.
func (i *Inheritance) Listener(name string) (*net.TCPListener, error) {
	f, err := i.file(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the inherited socket %q cannot be used: %w", name, err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, fault.New(fault.Invalid, "the inherited socket %q is not a TCP listener", name)
	}
	return tcp, nil
}

// File takes a socket of whatever kind as the file it is. The caller closes it.
func (i *Inheritance) File(name string) (*os.File, error) { return i.file(name) }

// UDP takes a UDP socket.
func (i *Inheritance) UDP(name string) (*net.UDPConn, error) {
	f, err := i.file(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the inherited socket %q cannot be used: %w", name, err)
	}
	udp, ok := c.(*net.UDPConn)
	if !ok {
		c.Close()
		return nil, fault.New(fault.Invalid, "the inherited socket %q is not a UDP socket", name)
	}
	return udp, nil
}

// Unix takes a connected Unix socket.
func (i *Inheritance) Unix(name string) (*net.UnixConn, error) {
	f, err := i.file(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the inherited socket %q cannot be used: %w", name, err)
	}
	unix, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fault.New(fault.Invalid, "the inherited socket %q is not a Unix socket", name)
	}
	return unix, nil
}

// Ready tells the predecessor that this process serves, and waits until the
// predecessor has let go of what only one may read, or is gone. Sockets that
// were not taken are closed. On a nil Inheritance it does nothing.
func (i *Inheritance) Ready(ctx context.Context) error {
	if i == nil || i.control == nil {
		return nil
	}
	for name, f := range i.files {
		f.Close()
		delete(i.files, name)
	}
	defer func() {
		i.control.Close()
		i.control = nil
	}()
	stop := context.AfterFunc(ctx, func() { i.control.Close() })
	defer stop()
	var word [1]byte
	if _, err := i.control.Write([]byte{wordReady}); err == nil {
		_, _ = io.ReadFull(i.control, word[:]) // an error is the predecessor's end
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if word[0] != wordYours && word[0] != 0 {
		return fault.New(fault.Internal, "the predecessor said %q instead of letting go", word[0])
	}
	close(i.released)
	return nil
}

// Released is closed when Ready has succeeded: this process may read what only
// one may.
func (i *Inheritance) Released() <-chan struct{} { return i.released }

// Successor is the process that takes over.
type Successor struct {
	Process *os.Process
	control *net.UnixConn
}

// Release lets the successor read what only one process may.
func (s *Successor) Release() error {
	defer s.control.Close()
	_, err := s.control.Write([]byte{wordYours})
	return err
}

// Abandon gives a successor up that has not been released.
func (s *Successor) Abandon() {
	s.control.Close()
	_ = s.Process.Kill()
	_, _ = s.Process.Wait()
}

// awaitReady waits for the successor's word.
func (s *Successor) awaitReady(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.control.CloseRead() })
	defer stop()
	var word [1]byte
	_, err := io.ReadFull(s.control, word[:])
	switch {
	case ctx.Err() != nil:
		return fault.New(fault.Unavailable, "the new process was not ready in time; the old one goes on serving: %w", ctx.Err())
	case errors.Is(err, io.EOF):
		return fault.New(fault.Unavailable, "the new process ended before it was ready (its log says why); the old one goes on serving")
	case err != nil:
		return fault.New(fault.Unavailable, "the new process cannot be heard; the old one goes on serving: %w", err)
	case word[0] != wordReady:
		return fault.New(fault.Internal, "the new process said %q instead of being ready; the old one goes on serving", word[0])
	}
	return nil
}
