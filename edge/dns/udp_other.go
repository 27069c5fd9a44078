//go:build !linux || !(amd64 || arm64)

package dns

import (
	"net/netip"
	"os"
)

// listenUDP opens the UDP doors: one, as sockets cannot share a port everywhere.
func listenUDP(at netip.AddrPort, _ int, _ bool) ([]datagrams, error) {
	p, err := listenPortable(at)
	if err != nil {
		return nil, err
	}
	return []datagrams{p}, nil
}

// inheritUDP makes the doors of bound sockets.
func inheritUDP(files []*os.File, _ bool) ([]datagrams, error) {
	var doors []datagrams
	for _, f := range files {
		p, err := inheritPortable(f)
		if err != nil {
			for _, d := range doors {
				d.stop()
			}
			return nil, err
		}
		doors = append(doors, p)
	}
	return doors, nil
}

// neverFragment does nothing: that is asked for in another way on each system.
func neverFragment(int) {}
