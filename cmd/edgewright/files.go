package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgewright/edgewright/fault"
)

// dataLock is the right of one process to run on a data directory.
type dataLock struct{ file *os.File }

// lockData makes the data directory and takes its lock. With wait it waits for
// the process that this one replaces; else it says who is in the way.
func lockData(ctx context.Context, dir string, wait bool) (*dataLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Unavailable, "the data directory cannot be made; choose another with --data: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the data directory cannot be used; choose another with --data: %w", err)
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return &dataLock{file}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || !wait {
			_ = file.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fault.New(fault.Conflict, "another edgewright runs on the data directory %s; stop it, or choose another with --data", dir)
			}
			return nil, fault.New(fault.Unavailable, "the data directory %s cannot be locked: %w", dir, err)
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (l *dataLock) release() { _ = l.file.Close() }

// writePrivate replaces a file that only its owner may read, whole or not at
// all.
func writePrivate(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// reachable turns a wildcard address into one that this machine can dial.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// planeNames are what the control plane's own certificates are valid for.
func planeNames(publicURL string, bound net.Addr) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	add := func(name string) {
		for _, n := range names {
			if n == name {
				return
			}
		}
		names = append(names, name)
	}
	if u, err := url.Parse(publicURL); err == nil && u.Hostname() != "" {
		add(u.Hostname())
	}
	if host, _, err := net.SplitHostPort(bound.String()); err == nil {
		if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
			add(ip.String())
		}
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		add(name)
	}
	if addresses, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				add(n.IP.String())
			}
		}
	}
	return names
}
