package httpedge

import (
	"crypto/rand"
	"strconv"
	"strings"
	"sync/atomic"
)

// ids makes request IDs: a random prefix of the process and a number. They are
// unique, not secret.
type ids struct {
	prefix string
	last   *atomic.Uint64
}

func newIDs() ids {
	return ids{prefix: strings.ToLower(rand.Text()[:13]), last: new(atomic.Uint64)}
}

func (i ids) next() string {
	var space [32]byte
	b := append(space[:0], i.prefix...)
	b = append(b, '-')
	return string(strconv.AppendUint(b, i.last.Add(1), 36))
}
