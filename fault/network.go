package fault

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
)

// Network says in words what became of a connection or a datagram: "timeout",
// "connection refused". What package net says besides, our own socket's address,
// is another one each time and tells a reader nothing; the other side's is for
// the caller to name, as the reader has named it.
func Network(err error) string {
	if err == nil {
		return ""
	}
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection"
	}
	var operation *net.OpError
	if !errors.As(err, &operation) {
		return err.Error()
	}
	var system *os.SyscallError
	if errors.As(operation.Err, &system) {
		return system.Err.Error()
	}
	return operation.Err.Error()
}
