package dns

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// gate lets transfers in: so many at once, each of which holds a list of a
// zone's names, and fewer of one project, so that its secondaries do not keep
// those of others waiting, however slowly they read.
type gate struct {
	all *semaphore.Weighted

	mu sync.Mutex
	of map[string]*lane // by project; of those with a transfer
}

type lane struct {
	room  *semaphore.Weighted
	users int // that hold or wait for room; with gate.mu
}

// How many transfers there are at once, how many of one project, and how long
// another waits.
const (
	maxTransfers   = 16
	maxTransfersOf = 8
	transferWait   = 30 * time.Second
)

func newGate() *gate {
	return &gate{all: semaphore.NewWeighted(maxTransfers), of: map[string]*lane{}}
}

// enter waits for room. ok tells that there is some, until leave is called.
func (g *gate) enter(ctx context.Context, project string) (leave func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, transferWait)
	defer cancel()
	l := g.use(project)
	if l.room.Acquire(ctx, 1) != nil {
		g.done(project, l)
		return nil, false
	}
	if g.all.Acquire(ctx, 1) != nil {
		l.room.Release(1)
		g.done(project, l)
		return nil, false
	}
	return func() {
		g.all.Release(1)
		l.room.Release(1)
		g.done(project, l)
	}, true
}

func (g *gate) use(project string) *lane {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.of[project]
	if l == nil {
		l = &lane{room: semaphore.NewWeighted(maxTransfersOf)}
		g.of[project] = l
	}
	l.users++
	return l
}

func (g *gate) done(project string, l *lane) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(g.of, project)
	}
}
