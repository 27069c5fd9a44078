package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// The end by a signal is success; a failure on the way down is not.
func TestServeEnds(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	broken := errors.New("the disk is full")
	for _, tt := range []struct {
		ctx  context.Context
		err  error
		want error
	}{
		{context.Background(), nil, nil},
		{context.Background(), broken, broken},
		{context.Background(), context.Canceled, context.Canceled},
		{ended, nil, nil},
		{ended, fmt.Errorf("serving: %w", context.Canceled), nil},
		{ended, broken, broken},
	} {
		a := &app{ctx: tt.ctx}
		if err := serve(a, "up", func(context.Context, int) error { return tt.err }, 0); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%v: %v, want %v", tt.err, err, tt.want)
		}
	}
}

// SIGTERM ends the context that a server function got.
func TestSignalEndsTheServer(t *testing.T) {
	servers := Servers{Up: func(ctx context.Context, _ UpOptions) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	var out, errs bytes.Buffer
	if code := Main([]string{"up"}, strings.NewReader(""), &out, &errs, servers); code != exitOK || errs.Len() > 0 {
		t.Errorf("exit status %d, %s", code, &errs)
	}
}

// A panic of a server function comes through as it is.
func TestPanicComesThrough(t *testing.T) {
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("recovered %v", r)
		}
	}()
	var out bytes.Buffer
	Main([]string{"up"}, strings.NewReader(""), &out, &out, Servers{Up: func(context.Context, UpOptions) error { panic("mine") }})
	t.Error("no panic")
}
