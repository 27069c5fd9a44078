package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// absent is the error of a command whose function this build does not have.
func absent(command string) error {
	return fault.New(fault.Unavailable, "this build of edgewright cannot do %q; use the released binary", command)
}

func (a *app) streams() Streams {
	return Streams{Stdout: a.out, Stderr: a.err, Terminal: a.errTTY}
}

// serve runs a server function and takes its end by a signal for success.
func serve[O any](a *app, command string, fn func(context.Context, O) error, o O) error {
	if fn == nil {
		return absent(command)
	}
	err := fn(a.ctx, o)
	if a.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

type upCommand struct{ UpOptions }

func (upCommand) Help() string {
	return "When everything serves, one line on stdout says READY and, in JSON, the addresses and a one-time login link. " +
		"Every flag can also be set by an environment variable, EDGEWRIGHT_ and its name.\n\n" + examples(
		"edgewright up --demo",
		"edgewright up --data /srv/edgewright --listen-api 127.0.0.1:7070 --regions fra,nyc",
		"edgewright up --issuer acme --acme-contact ops@example.com")
}

func (c *upCommand) Run(a *app) error {
	c.Streams, c.Data = a.streams(), a.data("edgewright")
	return serve(a, "up", a.servers.Up, c.UpOptions)
}

type controlCommand struct{ ControlOptions }

func (controlCommand) Help() string {
	return "Unlike up, private and loopback origins are refused unless --allow-origin-ranges lists them.\n\n" + examples(
		"edgewright control --public-url https://control.example.com:7070",
		"edgewright control --database postgres://edgewright@db/edgewright --tls-cert chain.pem --tls-key key.pem")
}

func (c *controlCommand) Run(a *app) error {
	c.Streams, c.Data = a.streams(), a.data("edgewright")
	return serve(a, "control", a.servers.Control, c.ControlOptions)
}

type edgeCommand struct{ EdgeOptions }

func (edgeCommand) Help() string {
	return "The join token, made by \"edgewright edges join-token\", works once; afterwards the edge has an identity of its own in its data directory and needs neither the token nor, to serve, the control plane.\n\n" + examples(
		"edgewright edge --join https://control.example.com:7070 --token ewj_... --region fra",
		"edgewright edge --data /var/lib/edgewright-edge")
}

func (c *edgeCommand) Run(a *app) error {
	pem, err := a.rootCA()
	if err != nil {
		return err
	}
	c.Streams, c.Data, c.RootCA, c.Token = a.streams(), a.data("edgewright-edge"), pem, a.flags.Token
	if c.Join != "" {
		if !strings.HasPrefix(c.Join, "https://") && !strings.HasPrefix(c.Join, "http://") {
			return fault.New(fault.Invalid, "--join: %q is not the address of a control plane; write it like https://control.example.com:7070", c.Join)
		}
	}
	return serve(a, "edge", a.servers.Edge, c.EdgeOptions)
}
