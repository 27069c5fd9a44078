package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// benchMemory starts `edgewright up`, reads its memory at rest, declares many
// sites through the API, reads it again, and restarts it: the time from start
// to READY is the time to serving all of them, which a request to the last one
// proves.
func benchMemory(ctx context.Context, s settings) (string, error) {
	if err := install(ctx, map[string]string{"taskset": "util-linux"}); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "edgewright-bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	b := &bed{dir: dir, s: s}
	stopOrigin, err := b.prepare()
	if err != nil {
		return "", err
	}
	defer stopOrigin()

	p, err := startProduct(ctx, s, filepath.Join(dir, "data"))
	if err != nil {
		return "", err
	}
	firstStart := p.took
	atRest, err := settledRSS(ctx, p.cmd.Process.Pid)
	if err != nil {
		p.stop()
		return "", err
	}
	started := time.Now()
	err = declareSites(ctx, p, b.origin, s.sites)
	declared := time.Since(started)
	last := fmt.Sprintf("site%05d.localhost", s.sites-1)
	if err == nil {
		// Each site gets a certificate and is verified by the edge: some 10 ms.
		err = answers(ctx, http.DefaultClient, "http://"+address(p.ready.HTTP)+"/1k", last, time.Minute+time.Duration(s.sites)*50*time.Millisecond)
	}
	served := time.Since(started)
	var withSites int64
	if err == nil {
		withSites, err = settledRSS(ctx, p.cmd.Process.Pid)
	}
	p.stop()
	if err != nil {
		return "", err
	}

	p, err = startProduct(ctx, s, filepath.Join(dir, "data"))
	if err != nil {
		return "", err
	}
	defer p.stop()
	afterReady := time.Now()
	if err := answers(ctx, http.DefaultClient, "http://"+address(p.ready.HTTP)+"/1k", last, time.Minute); err != nil {
		return "", err
	}
	restart := p.took + time.Since(afterReady)
	afterRestart, err := settledRSS(ctx, p.cmd.Process.Pid)
	if err != nil {
		return "", err
	}

	var t strings.Builder
	fmt.Fprintf(&t, "# Memory and restart\n\nResident memory of `edgewright up` (control plane, bus and one edge in one process) on one core, once it has stayed within 2%% for five seconds.\n\n| what | value |\n|---|---:|\n")
	fmt.Fprintf(&t, "| first start to READY | %.2f s |\n| at rest | %.0f MB |\n", firstStart.Seconds(), mb(atRest))
	fmt.Fprintf(&t, "| %d sites declared, accepted in | %.1f s |\n| all with certificate and served after | %.1f s |\n| with %d sites | %.0f MB |\n", s.sites, declared.Seconds(), served.Seconds(), s.sites, mb(withSites))
	fmt.Fprintf(&t, "| restart with %d sites to the last one answered | %.2f s |\n| after the restart | %.0f MB |\n", s.sites, restart.Seconds(), mb(afterRestart))
	return t.String(), nil
}

// declareSites applies one domain per site, all on one CDN, in plans of 500.
func declareSites(ctx context.Context, p *product, origin string, n int) error {
	resources := []map[string]any{{"kind": "cdn", "name": "bench", "spec": map[string]any{"origins": []map[string]any{{"name": "origin", "url": "http://" + origin}}}}}
	for i := range n {
		name := fmt.Sprintf("site%05d.localhost", i)
		resources = append(resources, map[string]any{"kind": "domain", "name": name, "spec": map[string]any{"domain": name, "cdn": "bench", "redirect_https": false}})
		if len(resources) == 500 || i == n-1 {
			if err := p.apply(ctx, resources); err != nil {
				return err
			}
			resources = resources[:0]
		}
	}
	return nil
}

// settledRSS waits until memory moves by less than 2% over five seconds, at
// most two minutes, and returns it.
func settledRSS(ctx context.Context, pid int) (int64, error) {
	last, steady := int64(0), 0
	for range 120 {
		now, err := treeRSS(pid)
		if err != nil {
			return 0, err
		}
		if diff := now - last; diff < last/50 && -diff < last/50 {
			if steady++; steady == 5 {
				return now, nil
			}
		} else {
			last, steady = now, 0
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return last, nil
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }
