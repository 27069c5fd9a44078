//go:build !linux || !(amd64 || arm64)

package dns

import "net/netip"

// listenUDP opens the UDP doors: one, as sockets cannot share a port everywhere.
func listenUDP(at netip.AddrPort, _ int, _ bool) ([]datagrams, error) {
	p, err := listenPortable(at)
	if err != nil {
		return nil, err
	}
	return []datagrams{p}, nil
}
