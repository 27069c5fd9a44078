//go:build unix

package handover

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/edgewright/edgewright/fault"
)

// Start starts the successor and returns when it is ready. When it is not by
// the end of ctx, or ends before, it is killed and the error says so.
func Start(ctx context.Context, o Options) (*Successor, error) {
	if o.Path == "" {
		path, err := os.Executable()
		if err != nil {
			return nil, fault.New(fault.Internal, "this program's file is not known: %w", err)
		}
		o.Path = path
	}
	if o.Args == nil {
		o.Args = os.Args
	}
	if o.Env == nil {
		o.Env = os.Environ()
	}
	near, far, err := Pair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	control, err := FileConn(near, "control")
	if err != nil {
		unix.Close(far)
		return nil, err
	}
	// Descriptors are passed as numbers: os.File.Fd would make the shared
	// sockets blocking, for this process too.
	files := []uintptr{0, 1, 2, uintptr(far)}
	defer func() {
		for _, fd := range files[firstDescriptor:] {
			unix.Close(int(fd))
		}
	}()
	m := manifest{Values: o.Values}
	for _, s := range o.Sockets {
		fd, err := duplicate(s.Conn)
		if err != nil {
			control.Close()
			return nil, fault.New(fault.Unavailable, "the socket %q cannot be passed on: %w", s.Name, err)
		}
		m.Sockets = append(m.Sockets, s.Name)
		files = append(files, uintptr(fd))
	}
	text, err := json.Marshal(m)
	if err != nil {
		control.Close()
		return nil, fault.New(fault.Internal, "what the successor must know cannot be written: %w", err)
	}
	env := []string{Variable + "=" + string(text)}
	for _, entry := range o.Env {
		if !strings.HasPrefix(entry, Variable+"=") {
			env = append(env, entry)
		}
	}
	pid, _, err := syscall.StartProcess(o.Path, o.Args, &syscall.ProcAttr{Env: env, Files: files})
	if err != nil {
		control.Close()
		return nil, fault.New(fault.Unavailable, "the new process cannot be started: %w", err)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		control.Close()
		return nil, fault.New(fault.Internal, "the new process cannot be found: %w", err)
	}
	unix.Close(far) // so that the successor's death is seen as an end
	files = append(files[:firstDescriptor], files[firstDescriptor+1:]...)
	s := &Successor{Process: process, control: control}
	if err := s.awaitReady(ctx); err != nil {
		s.Abandon()
		return nil, err
	}
	return s, nil
}

// Pair returns two connected Unix sockets as close-on-exec, non-blocking
// descriptors.
func Pair(kind int) (near, far int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
	if err != nil {
		return 0, 0, fault.New(fault.Unavailable, "no socket pair can be made: %w", err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			unix.Close(fds[0])
			unix.Close(fds[1])
			return 0, 0, fault.New(fault.Unavailable, "no socket pair can be made: %w", err)
		}
	}
	return fds[0], fds[1], nil
}

// FileConn makes a connection of a descriptor of Pair, which it closes.
func FileConn(fd int, name string) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "a socket pair cannot be used: %w", err)
	}
	return c.(*net.UnixConn), nil // AF_UNIX, by construction
}

func duplicate(c syscall.Conn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var fd int
	var dupErr error
	if err := raw.Control(func(original uintptr) {
		fd, dupErr = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 10)
	}); err != nil {
		return 0, err
	}
	return fd, dupErr
}

func inheritedFile(fd int, name string) *os.File {
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}
