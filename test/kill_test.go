package test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// The process is killed as by a power cut at random instants while clients
// write; every write that was answered with 2xx is there after the restart,
// the store opens, and the edge converges on what was written.
// EDGEWRIGHT_KILL_ROUNDS sets the rounds, EDGEWRIGHT_KILL_WRITES the writes of
// each.
func TestKilledWhileWriting(t *testing.T) {
	rounds, writes := number(t, "EDGEWRIGHT_KILL_ROUNDS", 3), number(t, "EDGEWRIGHT_KILL_WRITES", 200)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // instants, not secrets
	o := startOrigin(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	dir := t.TempDir()
	accepted := map[string]bool{}
	cut := 0
	for round := range rounds {
		s := up(t, dir)
		if round == 0 {
			s.must(200, "POST", "/cdn", map[string]any{"origins": []map[string]any{{"name": "app", "url": o.URL}}, "cache_rules": []any{}})
		}
		killAfter := 1 + random.IntN(writes-1)
		var mu sync.Mutex
		var wait sync.WaitGroup
		done := 0
		next := make(chan string)
		for range 4 {
			wait.Go(func() {
				for name := range next {
					a, err := s.call("POST", "/domains", map[string]any{"domain": name, "auto_configure": true})
					if err != nil {
						continue // cut off: accepted or not, both are allowed
					}
					mu.Lock()
					if a.Status == 201 {
						accepted[name] = true
					} else {
						t.Errorf("%s: status %d: %s", name, a.Status, a.Body)
					}
					if done++; done == killAfter {
						_ = s.cmd.Process.Kill()
					}
					mu.Unlock()
				}
			})
		}
		for i := range writes {
			select {
			case next <- fmt.Sprintf("r%dn%d.localhost", round, i):
			case <-s.ended:
			}
		}
		close(next)
		wait.Wait()
		s.kill()
		cut += writes - done
	}
	s := up(t, dir)
	stored := map[string]bool{}
	for cursor := ""; ; {
		var page struct {
			Domains []struct {
				Domain string `json:"domain"`
			} `json:"domains"`
			Next string `json:"next_cursor"`
		}
		s.must(200, "GET", "/domains?limit=500&cursor="+cursor, nil).decode(t, &page)
		for _, d := range page.Domains {
			stored[d.Domain] = true
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for name := range accepted {
		if !stored[name] {
			t.Errorf("%s was answered with 201 and is not there", name)
		}
	}
	waiting := maps.Clone(accepted) // whose sites have not been seen
	eventually(t, time.Minute+time.Duration(len(accepted))*50*time.Millisecond, func() error {
		client := browser(s.Ready.HTTPS, s.roots())
		for name := range waiting {
			if a, err := get(t, client, "https://"+name+"/"); err != nil || a.Status != 200 {
				return fmt.Errorf("%s: status %d, %w", name, a.Status, err)
			}
			client.CloseIdleConnections()
			delete(waiting, name)
		}
		return nil
	})
	t.Logf("%d rounds, %d writes accepted, %d cut off, none lost", rounds, len(accepted), cut)
}

func number(t *testing.T, env string, standard int) int {
	t.Helper()
	value := os.Getenv(env)
	if value == "" {
		return standard
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 2 {
		t.Fatalf("%s=%q: give a number of at least 2", env, value)
	}
	return n
}
