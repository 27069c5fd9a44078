package fleettest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgewright/edgewright/control/fleet"
	"github.com/edgewright/edgewright/edge/agent"
)

// FanOutOptions say what to measure.
type FanOutOptions struct {
	Dir     string // for the database
	Agents  int    // in this process, each with a bus connection of its own and no listener
	Sites   int    // that exist beforehand; 0: 20
	Changes int    // measured one after the other; 0: 100
	Purges  int    // 0: 100
	Log     func(format string, args ...any)
}

// FanOutResult is what was measured. A change's time is from the commit having
// returned (the database has it on disk) until every agent has applied and
// acknowledged; a purge's from the call until every agent has acknowledged.
type FanOutResult struct {
	Agents  int           `json:"agents"`
	Joined  time.Duration `json:"joined"` // until all were connected and in sync
	Change  Times         `json:"change"`
	Purge   Times         `json:"purge"`
	HeapMB  float64       `json:"heap_mb"` // in use after a collection, with everything running
	RSSMB   float64       `json:"rss_mb"`
	Workers int           `json:"goroutines"`
}

// Times are of one kind of work.
type Times struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
}

// FanOut measures how long changes and purges take to every agent of a fleet in
// one process: database, bus, control plane and all agents share its processors.
func FanOut(ctx context.Context, o FanOutOptions) (result FanOutResult, err error) {
	if o.Sites == 0 {
		o.Sites = 20
	}
	if o.Changes == 0 {
		o.Changes = 100
	}
	if o.Purges == 0 {
		o.Purges = 100
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	result.Agents = o.Agents
	f, err := Start(ctx, Options{Dir: o.Dir})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, f.Stop()) }()
	for i := range o.Sites {
		if _, err := f.Put(ctx, strconv.Itoa(i), "http://origin.example.com"); err != nil {
			return result, err
		}
	}
	started := time.Now()
	edges, err := joinMany(ctx, f, o)
	defer func() {
		for _, e := range edges {
			e.cancel()
		}
		for _, e := range edges {
			err = errors.Join(err, e.Stop())
		}
	}()
	if err != nil {
		return result, err
	}
	result.Joined = time.Since(started)
	o.Log("%d agents joined in %s", o.Agents, result.Joined.Round(time.Millisecond))

	change := func(i int) (time.Duration, error) {
		revision, err := f.Put(ctx, strconv.Itoa(i%o.Sites), fmt.Sprintf("http://origin-%d.example.com", i))
		if err != nil {
			return 0, err
		}
		accepted := time.Now()
		r, err := f.WaitRollout(ctx, revision)
		if err == nil && (r.Applied != o.Agents || r.Documents != 1) {
			err = fmt.Errorf("change %d ended at %+v", i, r)
		}
		return time.Since(accepted), err
	}
	purge := func(int) (time.Duration, error) {
		asked := time.Now()
		s, err := f.Purge(ctx, fleet.PurgeRequest{Project: "p", Environment: "e", Paths: []string{"/"}})
		if err == nil && (s.State != fleet.PurgeAcknowledged || s.Acknowledged != o.Agents) {
			err = fmt.Errorf("a purge ended at %+v", s)
		}
		return time.Since(asked), err
	}
	for _, m := range []struct {
		times *Times
		count int
		do    func(int) (time.Duration, error)
	}{{&result.Change, o.Changes, change}, {&result.Purge, o.Purges, purge}} {
		for i := range 3 { // warm up
			if _, err := m.do(i); err != nil {
				return result, err
			}
		}
		all := make([]time.Duration, 0, m.count)
		for i := range m.count {
			took, err := m.do(100 + i)
			if err != nil {
				return result, err
			}
			all = append(all, took)
		}
		*m.times = timesOf(all)
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	result.HeapMB = float64(memory.HeapInuse+memory.StackInuse) / (1 << 20)
	result.RSSMB = residentMB()
	result.Workers = runtime.NumGoroutine()
	return result, nil
}

// joinAtOnce bounds how many agents join and connect at the same time.
const joinAtOnce = 256

// joinMany starts the agents and waits until all are connected and in sync.
func joinMany(ctx context.Context, f *Fleet, o FanOutOptions) ([]*Edge, error) {
	edges := make([]*Edge, 0, o.Agents)
	for len(edges) < o.Agents {
		wave := make([]*Edge, min(joinAtOnce, o.Agents-len(edges)))
		var group errgroup.Group
		group.SetLimit(64)
		for i := range wave {
			number := len(edges) + i
			group.Go(func() error {
				id, err := f.JoinEdge(ctx, "", "bench", fmt.Sprintf("bench-%d", number))
				if err != nil {
					return err
				}
				wave[i] = f.Run(id, &Node{Small: true}, func(o *agent.Options) { o.Queue = 128 })
				return nil
			})
		}
		err := group.Wait()
		for _, e := range wave {
			if e != nil {
				edges = append(edges, e)
			}
		}
		if err != nil {
			return edges, err
		}
		if err := settled(ctx, f, len(edges), func(e fleet.Edge) bool { return e.Connected }); err != nil {
			return edges, fmt.Errorf("%d agents do not all connect: %w", len(edges), err)
		}
		if len(edges)%2048 == 0 {
			o.Log("%d agents connected", len(edges))
		}
	}
	if err := settled(ctx, f, o.Agents, func(e fleet.Edge) bool { return e.InSync }); err != nil {
		return edges, fmt.Errorf("%d agents do not all come into sync: %w", o.Agents, err)
	}
	return edges, nil
}

// settled waits until want edges are as is says.
func settled(ctx context.Context, f *Fleet, want int, is func(fleet.Edge) bool) error {
	// Looking costs something with thousands.
	ticker := time.NewTicker(20*time.Millisecond + time.Duration(want)*50*time.Microsecond)
	defer ticker.Stop()
	for {
		list, err := f.Edges(ctx)
		if err != nil {
			return err
		}
		if len(slices.DeleteFunc(list, func(e fleet.Edge) bool { return !is(e) })) >= want {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func timesOf(all []time.Duration) Times {
	slices.Sort(all)
	if len(all) == 0 {
		return Times{}
	}
	return Times{Count: len(all), P50: all[(len(all)-1)/2], P99: all[(len(all)-1)*99/100], Max: all[len(all)-1]}
}

// residentMB is the process's resident memory, 0 where it cannot be told.
func residentMB() float64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize()) / (1 << 20)
}
