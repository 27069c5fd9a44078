package dns

import "time"

// pace is how fast a client reads while transfers are under way on its
// connection. A transfer holds its room for as long as it is read, so it may
// last as long as its size takes at a slow, honest link, and no longer.
//
// Only time in which we wait for the client counts: not that in which a transfer
// waits for room, or its records are put together. Whoever writes has the
// connection's turn, which guards it.
type pace struct {
	waited time.Duration
	bytes  int64
}

// How slow a client may be: 4 KiB a second is a modem's 33,600 bit/s, at which
// a zone of a million records, some 40 MB, takes nearly three hours. The grace is
// for a link that has just gone bad, and covers small zones alone.
const (
	paceBytes = 4 << 10
	paceGrace = time.Minute
)

// within is how long the client may take for n more bytes; nothing is left to one
// that has been too slow.
func (p *pace) within(n int) time.Duration {
	// In seconds first: bytes times a second overflow where a zone is large.
	all := p.bytes + int64(n)
	may := paceGrace + time.Duration(all/paceBytes)*time.Second + time.Duration(all%paceBytes)*time.Second/paceBytes
	return min(transferWrite, may-p.waited)
}

// took notes that n bytes were read in some time.
func (p *pace) took(n int, waited time.Duration) {
	p.bytes += int64(n)
	p.waited += waited
}
