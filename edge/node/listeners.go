package node

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"

	"github.com/quic-go/quic-go"
	"golang.org/x/sys/unix"

	"github.com/edgewright/edgewright/edge/httpedge"
	"github.com/edgewright/edgewright/edge/httpedge/handover"
	"github.com/edgewright/edgewright/edge/httpedge/packets"
	"github.com/edgewright/edgewright/fault"
)

// The names of what a successor inherits.
const (
	socketHTTP    = "http"
	socketHTTPS   = "https"
	socketQUIC    = "quic"
	socketQUICWay = "quic-way" // to the predecessor, for packets of its connections
	valueLineage  = "quic-lineage"
	valueReset    = "quic-reset"
	valueToken    = "quic-token"
)

// listeners are the sockets of a node.
type listeners struct {
	http, https *net.TCPListener
	packets     *packets.Conn
	reset       quic.StatelessResetKey
	token       quic.TokenGeneratorKey
}

func listen(o *Options) (*listeners, error) {
	if o.Inherited != nil {
		return inherit(o.Inherited)
	}
	if o.HTTPAddr == "" && o.HTTPSAddr == "" {
		return nil, fault.New(fault.Invalid, "an edge needs an HTTP or an HTTPS address")
	}
	l := &listeners{}
	_, _ = rand.Read(l.reset[:])
	_, _ = rand.Read(l.token[:])
	var err error
	if o.HTTPAddr != "" {
		if l.http, err = listenTCP(o.HTTPAddr); err != nil {
			return nil, err
		}
	}
	if o.HTTPSAddr != "" {
		if err = l.listenHTTPS(o.HTTPSAddr, !o.NoHTTP3); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

func listenTCP(address string) (*net.TCPListener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the edge cannot listen on %s; give another address, or stop what holds it: %w", address, err)
	}
	return l.(*net.TCPListener), nil
}

// listenHTTPS binds TCP and UDP with the same port number. When the kernel
// picks the port, one that is free for both is looked for.
func (l *listeners) listenHTTPS(address string, udp bool) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fault.New(fault.Invalid, "%q is not host:port: %w", address, err)
	}
	for attempt := 0; ; attempt++ {
		if l.https, err = listenTCP(address); err != nil || !udp {
			return err
		}
		bound := l.https.Addr().(*net.TCPAddr)
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: bound.IP, Port: bound.Port, Zone: bound.Zone})
		if err == nil {
			l.packets = packets.NewConn(conn)
			return nil
		}
		_ = l.https.Close()
		l.https = nil
		if port != "0" || attempt == 16 {
			return fault.New(fault.Unavailable, "the edge cannot use UDP port %d for HTTP/3; stop what holds it, or give another HTTPS address: %w", bound.Port, err)
		}
	}
}

func inherit(i *handover.Inheritance) (*listeners, error) {
	l := &listeners{}
	err := func() (err error) {
		if i.Has(socketHTTP) {
			if l.http, err = i.Listener(socketHTTP); err != nil {
				return err
			}
		}
		if i.Has(socketHTTPS) {
			if l.https, err = i.Listener(socketHTTPS); err != nil {
				return err
			}
		}
		if !i.Has(socketQUIC) {
			return nil
		}
		if !decodeKey(l.reset[:], i.Value(valueReset)) || !decodeKey(l.token[:], i.Value(valueToken)) {
			return fault.New(fault.Invalid, "the predecessor's QUIC keys cannot be read")
		}
		udp, err := i.UDP(socketQUIC)
		if err != nil {
			return err
		}
		way, err := i.Unix(socketQUICWay)
		if err != nil {
			udp.Close()
			return err
		}
		l.packets, err = packets.Succeed(udp, i.Value(valueLineage), way)
		return err
	}()
	if err == nil && l.http == nil && l.https == nil {
		err = fault.New(fault.Invalid, "the predecessor left no listener")
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func decodeKey(key []byte, text string) bool {
	n, err := hex.Decode(key, []byte(text))
	return err == nil && n == len(key)
}

func (l *listeners) plain() net.Listener {
	if l.http == nil {
		return nil // not an interface that holds nil
	}
	return l.http
}

func (l *listeners) secure() net.Listener {
	if l.https == nil {
		return nil
	}
	return l.https
}

func (l *listeners) quic(settings *tls.Config) *httpedge.QUIC {
	if l.packets == nil {
		return nil
	}
	return &httpedge.QUIC{Conn: l.packets, TLS: settings, ConnectionIDs: l.packets, ResetKey: &l.reset, TokenKey: &l.token, Released: l.packets.Released, Alone: l.packets.Alone()}
}

func (l *listeners) httpAddr() string {
	if l.http == nil {
		return ""
	}
	return l.http.Addr().String()
}

func (l *listeners) httpsAddr() string {
	if l.https == nil {
		return ""
	}
	return l.https.Addr().String()
}

// httpsPort is the bound port as URLs show it: "" for 443, or for none.
func (l *listeners) httpsPort() string {
	if l.https == nil {
		return ""
	}
	_, port, _ := net.SplitHostPort(l.httpsAddr())
	if port == "443" {
		return ""
	}
	return port
}

func (l *listeners) close() error {
	var errs []error
	for _, t := range []*net.TCPListener{l.http, l.https} {
		if t != nil {
			if err := t.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if l.packets != nil {
		errs = append(errs, l.packets.Close())
	}
	return errors.Join(errs...)
}

// Handover starts the successor of this process (the same executable and
// arguments, with the listeners inherited), waits until it is ready, and stops
// accepting here. The caller then calls Shutdown, which lets the requests and
// HTTP/3 connections of this process end, and exits. When the successor fails
// to become ready the error says why and this node goes on serving.
//
// The successor calls handover.Inherit, passes the inheritance to New, and its
// Ready when it serves.
func (n *Node) Handover(ctx context.Context) error {
	return n.handOver(ctx, handover.Options{})
}

func (n *Node) handOver(ctx context.Context, o handover.Options) error {
	l := n.listeners
	if l.http != nil {
		o.Sockets = append(o.Sockets, handover.Socket{Name: socketHTTP, Conn: l.http})
	}
	if l.https != nil {
		o.Sockets = append(o.Sockets, handover.Socket{Name: socketHTTPS, Conn: l.https})
	}
	var inbox, way *net.UnixConn
	if l.packets != nil {
		near, far, err := handover.Pair(unix.SOCK_SEQPACKET)
		if err != nil {
			return err
		}
		if inbox, err = handover.FileConn(near, socketQUICWay); err != nil {
			unix.Close(far)
			return err
		}
		if way, err = handover.FileConn(far, socketQUICWay); err != nil {
			inbox.Close()
			return err
		}
		defer way.Close()
		o.Sockets = append(o.Sockets, handover.Socket{Name: socketQUIC, Conn: l.packets}, handover.Socket{Name: socketQUICWay, Conn: way})
		o.Values = map[string]string{
			valueLineage: l.packets.Lineage(),
			valueReset:   hex.EncodeToString(l.reset[:]),
			valueToken:   hex.EncodeToString(l.token[:]),
		}
	}
	if n.dns != nil {
		udp, tcp, tls := n.dns.Sockets()
		for i, s := range udp {
			o.Sockets = append(o.Sockets, handover.Socket{Name: socketDNSUDP(i), Conn: s})
		}
		o.Sockets = append(o.Sockets, handover.Socket{Name: SocketDNS, Conn: tcp})
		if tls != nil {
			o.Sockets = append(o.Sockets, handover.Socket{Name: socketDoT, Conn: tls})
		}
	}
	successor, err := handover.Start(ctx, o)
	if err != nil {
		if inbox != nil {
			inbox.Close()
		}
		return err
	}
	n.server.StopAccepting()
	if n.dns != nil {
		n.dns.StopTaking()
	}
	if l.packets != nil {
		l.packets.Release(inbox)
	}
	n.log.Info("the successor serves", "pid", successor.Process.Pid)
	return successor.Release()
}
