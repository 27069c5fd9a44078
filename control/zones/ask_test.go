package zones_test

import (
	"net"
	"testing"

	"github.com/edgewright/edgewright/control/zones"
)

// TestASilentResolverIsNamed: the error says who was asked for what and what
// became of it, and nothing of our own socket, whose port is another one each time.
func TestASilentResolverIsNamed(t *testing.T) {
	t.Parallel()
	// A socket that is connected elsewhere keeps the port and takes no question.
	taken, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	server := taken.LocalAddr().String()
	_, _, _, err = (&zones.Asker{Resolvers: []string{server}}).Delegation(t.Context(), "shop.example.com")
	if want := server + " was asked for the SOA of example.com: connection refused"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
